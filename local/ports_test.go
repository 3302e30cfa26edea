package local

import (
	"fmt"
	"net"
	"testing"
)

func TestFreePorts(t *testing.T) {
	ports, err := freePorts(200)
	if err == nil {
		t.Fatalf("got %d ports, but only 100 are tried", len(ports))
	}
	if ports, err = freePorts(50); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range ports {
		if seen[port] {
			t.Errorf("port %d is returned twice", port)
		}
		seen[port] = true
		// Ephemeral ports begin at 32768 on Linux and at 49152 on macOS.
		if port >= 32768 {
			t.Errorf("port %d is an ephemeral port", port)
		}
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Errorf("the port is not free: %v", err)
			continue
		}
		defer listener.Close()
	}
}
