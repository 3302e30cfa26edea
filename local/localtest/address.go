package localtest

import (
	"net"
	"testing"
)

// FreeAddress returns an address of the loopback interface with a port on which no program
// listens.
func FreeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
