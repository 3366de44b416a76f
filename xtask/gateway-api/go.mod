// The release of Gateway API whose kinds Leno reads: the only place that names it.
// After changing it: `go mod tidy` here, then `cargo xtask generate`.
module leno.dev/gateway-api

go 1.26.0

require sigs.k8s.io/gateway-api v1.6.3 // its CRDs are read, no Go code is built
