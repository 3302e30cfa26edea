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

// DynamoDB is a DynamoDB Local, in memory.
type DynamoDB struct {
	// URL is where it answers.
	URL     string
	process *process
}

// StartDynamoDB fetches DynamoDB Local, if it is not in the cache, and starts it.
func StartDynamoDB(ctx context.Context, o Options) (*DynamoDB, error) {
	java, err := findJDK(os.Getenv("JAVA_HOME"), usualFolders)
	if err != nil {
		return nil, err
	}
	program, err := fetch(o.Cache, "dynamodb-local-"+dynamoDBVersion, func(folder string) error {
		fmt.Fprintf(o.Log, "fetching DynamoDB Local %s (51 MB, once)\n", dynamoDBVersion)
		pom := `<project><modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>local</artifactId><version>1</version>
<dependencies><dependency><groupId>com.amazonaws</groupId><artifactId>DynamoDBLocal</artifactId><version>` + dynamoDBVersion + `</version></dependency></dependencies></project>`
		if err := os.WriteFile(filepath.Join(folder, "pom.xml"), []byte(pom), 0o644); err != nil {
			return err
		}
		return maven(ctx, java, folder, "copy-dependencies", "-DoutputDirectory="+folder)
	})
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "logsluice-dynamodb-")
	if err != nil {
		return nil, err
	}
	process, err := startProcess("DynamoDB Local", folder, exec.Command(java.java(),
		"-Djava.library.path="+program, "-cp", filepath.Join(program, "*"),
		"com.amazonaws.services.dynamodbv2.local.main.ServerRunner",
		"-inMemory", "-port", strconv.Itoa(ports[0]), "-disableTelemetry"))
	if err != nil {
		os.RemoveAll(folder)
		return nil, err
	}
	d := &DynamoDB{URL: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), process: process}
	fmt.Fprintf(o.Log, "starting DynamoDB Local %s\n", dynamoDBVersion)
	// A request that is not signed is answered with 400.
	if err := process.await(ctx, func(ctx context.Context) bool { return answers(ctx, d.URL+"/", http.StatusBadRequest) }); err != nil {
		return nil, joinStop(err, d.Stop)
	}
	return d, nil
}

// Stop ends it; its tables are gone.
func (d *DynamoDB) Stop() error { return d.process.stop() }

// answers tells whether a GET is answered with a status.
func answers(ctx context.Context, url string, status int) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == status
}

func joinStop(err error, stop func() error) error { return errors.Join(err, stop()) }
