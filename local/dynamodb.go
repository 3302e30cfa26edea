package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

const dynamoDBVersion = "2.6.1"

// DynamoDB is a DynamoDB Local with its tables in memory.
type DynamoDB struct {
	// URL is the endpoint. It accepts any region and credentials.
	URL     string
	process *process
}

// StartDynamoDB fetches DynamoDB Local if it is not in the cache, starts it, and returns when it
// answers. The context is only for the start. The server runs until Stop, or until this process
// ends.
func StartDynamoDB(ctx context.Context, o Options) (*DynamoDB, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	java, err := findJDK(ctx, usualFolders, anyJava)
	if err != nil {
		return nil, err
	}
	program, err := fetchDynamoDB(ctx, o, java)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "logsluice-dynamodb-")
	if err != nil {
		return nil, fmt.Errorf("create a temporary folder: %w", err)
	}
	d := &DynamoDB{URL: fmt.Sprintf("http://127.0.0.1:%d", ports[0])}
	d.process = &process{
		name:        "DynamoDB Local",
		folder:      folder,
		stopTimeout: defaultStopTimeout,
		command: func() *exec.Cmd {
			//nolint:gosec // the Java found and our own arguments
			return exec.Command(java.java(),
				"-XX:-UsePerfData", "-Djava.io.tmpdir="+folder,
				"-Djava.library.path="+program, "-cp", filepath.Join(program, "*"),
				"com.amazonaws.services.dynamodbv2.local.main.ServerRunner",
				"-inMemory", "-port", strconv.Itoa(ports[0]), "-disableTelemetry")
		},
		// DynamoDB Local answers an unsigned request with 400.
		ready: func(ctx context.Context) bool {
			return answers(ctx, http.DefaultClient, d.URL+"/", http.StatusBadRequest)
		},
	}
	fmt.Fprintf(o.Log, "starting DynamoDB Local %s\n", dynamoDBVersion)
	if err := d.process.start(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return d, nil
}

func fetchDynamoDB(ctx context.Context, o Options, java jdk) (string, error) {
	return fetch(ctx, o.Cache, "dynamodb-local-"+dynamoDBVersion, func(folder string) error {
		fmt.Fprintf(o.Log, "fetching DynamoDB Local %s (51 MB, once)\n", dynamoDBVersion)
		pom := `<project><modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>local</artifactId><version>1</version>
<dependencies><dependency><groupId>com.amazonaws</groupId><artifactId>DynamoDBLocal</artifactId><version>` + dynamoDBVersion + `</version></dependency></dependencies></project>`
		if err := os.WriteFile(filepath.Join(folder, "pom.xml"), []byte(pom), 0o600); err != nil {
			return err
		}
		return maven(ctx, java, folder, "copy-dependencies", "-DoutputDirectory="+folder)
	})
}

// Pid returns the process id.
func (d *DynamoDB) Pid() int { return d.process.running.Process.Pid }

// Stop ends the server, which loses its tables. It fails if the server had already ended by
// itself.
func (d *DynamoDB) Stop() error { return d.process.stop() }
