// Gateway API's conformance suite, unchanged, as a program: `go test -c` makes it.
package conformance

import (
	"testing"

	"sigs.k8s.io/gateway-api/conformance"
)

func TestConformance(t *testing.T) { conformance.RunConformance(t) }
