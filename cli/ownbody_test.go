package cli

import (
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"logsluice/local/localtest"
)

// Requests to DynamoDB have bodies that the SDK does not close.
func TestOwnBodies(t *testing.T) {
	e := new(localtest.EarlyResponder)
	client := newDynamoDB(aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""), HTTPClient: e})
	_, _ = client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: aws.String("t")})
	if body, err := io.ReadAll(e.Body); err != nil || len(body) == 0 {
		t.Errorf("body %q, %v, want all of it", body, err)
	}
}
