package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
)

// The README has the table that the program prints.
func TestTableInREADME(t *testing.T) {
	deployments, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := table(&want, deployments); err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(readme), "<!-- cost -->\n")
	got, _, found := strings.Cut(after, "<!-- -->")
	if !found || got != want.String() {
		t.Errorf("the README has\n%s\ninstead of\n%s", got, want.String())
	}
}

func TestDeployment(t *testing.T) {
	f := func(args, row, want string) {
		t.Helper()
		deployments, err := parse(strings.Fields(args), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := table(&out, deployments); err != nil || !strings.Contains(out.String(), "| "+row+" | "+want+" |\n") {
			t.Errorf("%s: %v, no %s of %s in\n%s", args, err, row, want, &out)
		}
	}
	// 10 MB/s are 26,280 GB per month. A record of 15.5 KB counts as 16 KB when it is put.
	f("-shards 10 -use 1", "Kinesis, on demand", "$ 4,300")
	f("-shards 10 -use 1", "Kinesis, provisioned in its place", "($ 130)")
	f("-shards 10 -use 1", "Firehose", "$ 980")
	f("-shards 10 -use 1 -archive-days 30", "S3 archive", "$ 600")
	f("-shards 10 -use 1 -archive-days 15", "S3 archive", "$ 300")
	f("-shards 10 -use 1 -archive-days 60", "S3 archive", "$ 920")
	f("-shards 1,17", "tasks", "2 | 3")
	f("-shards 17 -shards-per-task 2 -min-tasks 10", "tasks", "10")
	f("-shards 1000 -shards-per-task 20", "DynamoDB", "$ 780") // the number in the project's README
	f("-shards 10 -shards-per-task 1", "Fargate", "$ 140")
	f("-shards 1 -use 1", "events a second", "7,100")
}

func TestParse_Failure(t *testing.T) {
	f := func(args, want string) {
		t.Helper()
		if _, err := parse(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
	f("-shards some", "-shards")
	f("-shards 0", "-shards")
	f("-use 0", "-use")
	f("-use 2", "-use")
	f("-shards-per-task 0", "-shards-per-task")
	f("-none", "none")
}
