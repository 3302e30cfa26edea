// Package local starts a real OpenSearch and a real DynamoDB Local on this machine, without
// Docker, for the demo and the tests. Maven fetches them once into a cache folder. They run on
// free loopback ports, and their data is removed when they are stopped. It needs a JDK and
// Maven, and Linux or macOS.
package local
