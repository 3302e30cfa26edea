package local

import (
	"fmt"
	"net"
	"testing"
)

func TestFreePorts(t *testing.T) {
	ports, err := freePorts(200)
	if err == nil {
		t.Fatalf("got %d ports of the 100 that are tried", len(ports))
	}
	if ports, err = freePorts(50); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range ports {
		if seen[port] {
			t.Errorf("the port %d comes twice", port)
		}
		seen[port] = true
		// Linux gives clients ports from 32768 on, macOS from 49152.
		if port >= 32768 {
			t.Errorf("the port %d is one that clients are given", port)
		}
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Errorf("the port is not free: %v", err)
			continue
		}
		defer listener.Close()
	}
}
