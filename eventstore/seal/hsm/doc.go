// Package hsm keeps the key-encryption key (密钥加密密钥) in a PKCS#11 token (密码机): it wraps and unwraps the keys of data
// subjects inside the token, and the key itself never leaves it. It is a seal.KeyWrapper; only the composition root
// imports it.
//
// It calls the vendor's library through cgo, so it is built only with the tag pkcs11, where a C compiler is at hand:
//
//	CGO_ENABLED=1 go build -tags pkcs11 ./cmd/zujian
//
// # Decisions
//
// A version of the key is a secret key of the token labelled "zujian-kek-<version>", AES-256, sensitive and not
// extractable. Wrapping is CKM_AES_GCM with a random nonce and the label as additional data. A folder keeps the kind of
// wrapper it was made with.
//
// A token certified for SM4 names its GCM mechanism and key type by vendor numbers: Options takes them. Devices that
// speak GM/T 0018 (SDF) instead of PKCS#11 implement the same three calls: SDF_GetSymmKeyHandle for the version,
// SDF_AuthEnc and SDF_AuthDec for Wrap and Unwrap.
package hsm
