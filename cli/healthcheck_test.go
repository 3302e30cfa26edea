package cli

import (
	"testing"
)

func TestHealthcheckURL(t *testing.T) {
	f := func(address string, ready bool, want string) {
		t.Helper()
		h := healthcheckCommand{listenSettings{address}, ready}
		if got := h.url(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	f(":9100", false, "http://127.0.0.1:9100/healthz")
	f("0.0.0.0:9100", true, "http://127.0.0.1:9100/readyz")
	f("[::]:9100", false, "http://[::1]:9100/healthz")
	f("10.1.2.3:9100", false, "http://10.1.2.3:9100/healthz")
	f("localhost:9100", true, "http://localhost:9100/readyz")
}
