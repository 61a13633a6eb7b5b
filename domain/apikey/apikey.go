// Package apikey owns the life of one API key (接口密钥): issued, used until it expires, revoked.
package apikey
