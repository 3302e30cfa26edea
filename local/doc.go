// Package local starts a real OpenSearch and a real DynamoDB Local on this
// machine, without Docker, for the demo and the tests: fetched once by Maven
// into a cache folder, run on free loopback ports, and gone when they are
// stopped. It needs a JDK and Maven, and Linux or macOS.
package local
