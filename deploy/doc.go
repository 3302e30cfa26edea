// Package deploy has the tests of what stands beside it: the CloudFormation
// template, the image and compose.yaml.
package deploy
