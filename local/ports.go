package local

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// freePorts returns n ports of the loopback interface on which no program listens. They are
// below the ephemeral ports, so that no client connection can occupy one before the server
// starts or while it is down.
func freePorts(n int) ([]int, error) {
	const first, last = 20000, 32000
	var ports []int
	var refused error
	for range 100 {
		port := first + rand.IntN(last-first) //nolint:gosec // not a secret
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			refused = err
			continue
		}
		// Ports stay open until all are found, so that they differ.
		defer func() { _ = listener.Close() }()
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("find a free port from %d to %d: %w", first, last, refused)
}
