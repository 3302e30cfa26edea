package mapping

import (
	"testing"

	"logsluice/mapping/schema"
)

// A line inside that of a shipper has its fields, whatever the order of the shipper's keys.
func TestWrapped(t *testing.T) {
	t.Parallel()
	f := deriving(t)
	const inner = `"log":"{\"level\":\"error\",\"status\":503}\n"`
	const want = `"level":"error","status":503`
	f(`{`+inner+`}`, want)
	f(`{`+inner+`,"stream":"x"}`, want)
	f(`{"message":"plain",`+inner+`,"stream":"x"}`, `"level":"error","msg":"plain","status":503`)
	f(`{`+inner+`,"stream":"x","message":"plain"}`, `"level":"error","msg":"plain","status":503`)
	quote := func(line string) string { return string(schema.Literal(line)) }
	f(`{"container_name":"c","source":"stdout","log":`+quote(`{"log":`+quote(`{"level":"debug","status":200}`+"\n")+`,"stream":"stdout"}`)+`}`, `"level":"debug","status":200`)
	f(`{"container_name":"c","log":"x {\"level\":\"error\"}"}`, `"msg":"x {\"level\":\"error\"}"`)
	f(`{"log_processed":{"level":"warn","msg":"y"},"log":"z"}`, `"level":"warn","msg":"y"`)
	// A program's own line that contains another.
	f(`{"level":"info","msg":"build done","log":"{\"level\":\"fatal\",\"status\":500}"}`, `"level":"info","msg":"build done"`)
	f(`{"level":"info","msg":"build done","source":"ci","log":"{\"level\":\"fatal\",\"status\":500}"}`, `"level":"info","msg":"build done"`)
	f(`{"@level":"info","@message":"{\"level\":\"fatal\"}","@timestamp":"x"}`, `"level":"info","msg":"{\"level\":\"fatal\"}"`)
	f(`{"MESSAGE":"error budget ok {\"left\":97}","PRIORITY":"6"}`, `"level":"info","msg":"error budget ok {\"left\":97}"`)
	f(`{"container_name":"c","log":"{'status': 200}"}`, `"msg":"{'status': 200}"`)
	f(`{"id":"3f2b1c9e","timestamp":1768478403000,"message":"{\"status\":500}"}`, `"msg":"{\"status\":500}"`)
	f(`{"id":"m-1","timestamp":1768478403000,"message":"{\"status\":500}"}`, `"msg":"{\"status\":500}"`)
	f(`{"log":{"level":"error"}}`, `"level":"error"`) // a path of ECS
}

// The facts that identify dialects fit into the marks of a line.
func TestMarks(t *testing.T) {
	t.Parallel()
	x := mapperOf(t, "default").extract
	if most := 64 * len(x.marks); x.facts > most {
		t.Errorf("%d facts, at most %d", x.facts, most)
	}
}
