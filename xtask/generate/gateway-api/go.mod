// The release of Gateway API whose kinds Leno reads: the only place that names it.
// After changing it, `cargo xtask generate` brings go.sum and the structs up to date.
module leno.dev/gateway-api

go 1.17

require sigs.k8s.io/gateway-api v1.6.3 // its CRDs are read, no Go code is built
