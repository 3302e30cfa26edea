package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"logsluice/telemetry"
)

// workers are processes of the program.
type workers struct {
	list []*worker
	last counts // of the last complete scrape
}

type worker struct {
	name    string
	command *exec.Cmd
	exited  chan error
	metrics string // address
	log     string // file
}

// counts are summed over the workers.
type counts struct {
	indexed, alreadyThere, deadLetters float64
	leases                             float64
	latency                            telemetry.Histogram
}

func (c counts) settled() float64 { return c.indexed + c.alreadyThere + c.deadLetters }

// startWorkers builds the program and starts it n times, configured by environment variables as
// in production.
func startWorkers(ctx context.Context, p *parts, n int) (*workers, error) {
	binary, err := filepath.Abs(filepath.Join(p.cache, "logsluice"))
	if err != nil {
		return nil, err
	}
	fmt.Println("building logsluice")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build logsluice: %w\n%s", err, out)
	}
	w := &workers{}
	for i := range n {
		one, err := startWorker(binary, fmt.Sprintf("worker-%d", i+1), p)
		if err != nil {
			return nil, errors.Join(err, w.stop())
		}
		w.list = append(w.list, one)
	}
	fmt.Printf("%d workers started; their logs are in %s\n", n, p.logs)
	return w, nil
}

func startWorker(binary, name string, p *parts) (*worker, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	w := &worker{name: name, metrics: address, log: filepath.Join(p.logs, name+".log"), exited: make(chan error, 1)}
	log, err := os.Create(w.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// Not CommandContext, because a worker is always stopped by SIGTERM.
	w.command = exec.Command(binary, "run")
	w.command.Stderr = log
	w.command.Env = slices.Concat(os.Environ(), p.env(), []string{
		"WORKER_ID=" + name,
		"METRICS_ADDRESS=" + address,
		"SUMMARY_PERIOD=5s",
	})
	// Its own process group, so that Ctrl-C reaches only the demo, which stops its workers in order.
	w.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := w.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { w.exited <- w.command.Wait() }()
	return w, nil
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// scrape returns the sums of the workers' metrics.
func (w *workers) scrape(ctx context.Context) (counts, error) {
	var sum counts
	for _, one := range w.list {
		families, err := one.families(ctx)
		if err != nil {
			return counts{}, fmt.Errorf("metrics of %s: %w", one.name, err)
		}
		counter := func(name string) float64 {
			total := 0.0
			for _, m := range families["logsluice_"+name].GetMetric() {
				total += m.GetCounter().GetValue()
			}
			return total
		}
		sum.indexed += counter("documents_indexed_total")
		sum.alreadyThere += counter("documents_already_there_total")
		sum.deadLetters += counter("dead_letters_total")
		for _, m := range families["logsluice_leases"].GetMetric() {
			sum.leases += m.GetGauge().GetValue()
		}
		for _, m := range families["logsluice_put_to_acknowledged_seconds"].GetMetric() {
			sum.latency.Add(m.GetHistogram())
		}
	}
	return sum, nil
}

func (w *worker) families(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.metrics+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	return parser.TextToMetricFamilies(resp.Body)
}

// await waits until wanted reports true for the workers' counts. It fails after waitTimeout, or if
// a worker ends. condition describes wanted for the error.
func (w *workers) await(ctx context.Context, condition string, wanted func(counts) bool) error {
	deadline := time.Now().Add(waitTimeout)
	for {
		if sum, err := w.scrape(ctx); err == nil {
			w.last = sum
			if wanted(sum) {
				return nil
			}
		}
		for _, one := range w.list {
			select {
			case err := <-one.exited:
				one.exited <- err // for stop
				return fmt.Errorf("%s ended early: %s: see %s", one.name, one.command.ProcessState, one.log)
			default:
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %s until %s: %.0f events have an outcome: see %s", waitTimeout, condition, w.last.settled(), filepath.Dir(w.list[0].log))
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stop stops the workers, which drain, and waits for them.
func (w *workers) stop() error {
	var errs []error
	for _, one := range w.list {
		if err := one.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, err)
		}
	}
	for _, one := range w.list {
		select {
		case err := <-one.exited:
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w: see %s", one.name, err, one.log))
			}
		case <-time.After(30 * time.Second):
			errs = append(errs, fmt.Errorf("%s does not stop: killed, see %s", one.name, one.log), one.command.Process.Kill(), <-one.exited)
		}
	}
	return errors.Join(errs...)
}
