// Package soak runs the product for as long as asked while it breaks it: power loss and disk errors under log, keys,
// register and views, SIGKILL and stalls of a real server under HTTP load. It starts and ends processes of its own only. `zujian
// soak` and the end-to-end tests run it; what is broken and what is checked comes from eventstore/faults.
package soak
