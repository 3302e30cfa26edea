package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// The machine: its name, and its CPU time by process.

// moment has the CPU time that was spent until then.
type moment struct {
	at              time.Time
	machine, server time.Duration // by all processes, and by OpenSearch
	ours            time.Duration // by the client of OpenSearch and by this process
}

// now takes a moment; client is a process beside this one, 0 if there is none.
func now(server, client int) (m moment, err error) {
	m = moment{at: time.Now(), ours: spent()}
	if m.machine, err = busy(); err != nil {
		return m, err
	}
	if m.server, err = cpuOf(server); err != nil || client == 0 {
		return m, err
	}
	also, err := cpuOf(client)
	m.ours += also
	return m, err
}

// span is what passed between two moments.
type span struct{ wall, others, all time.Duration }

// since tells the time, less what other programs had of the processors, and less
// what everything but OpenSearch had.
func (m moment) since(began moment) span {
	wall, server := m.at.Sub(began.at), m.server-began.server
	rest := m.machine - began.machine - server
	cpus := time.Duration(runtime.NumCPU())
	return span{wall: wall, others: wall - (rest-(m.ours-began.ours))/cpus, all: wall - rest/cpus}
}

// tick is the unit of /proc.
const tick = 10 * time.Millisecond

// busy is what all processors have worked since the machine's start.
func busy() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	// cpu, user, nice, system, idle, iowait, irq, softirq, steal, guest
	fields := strings.Fields(line)
	return ticks(fields[1], fields[2], fields[3], fields[6], fields[7], fields[8])
}

// cpuOf is what a process has spent so far, to 10 ms.
func cpuOf(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// utime and stime are the 14th and 15th field; the name before may have spaces.
	const utime = 14 - 3
	_, fields, _ := strings.Cut(string(stat), ") ")
	return ticks(strings.Fields(fields)[utime : utime+2]...)
}

func ticks(fields ...string) (time.Duration, error) {
	sum := 0
	for _, field := range fields {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("read the CPU time in /proc: %w", err)
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}

// machine is what the times are of.
func machine() string {
	model := "unknown CPU"
	info, _ := os.ReadFile("/proc/cpuinfo") // without it the model is unknown
	if found := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(info); found != nil {
		model = string(found[1])
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%s, %d cores, %s, kernel %s", model, runtime.NumCPU(), runtime.Version(), bytes.TrimSpace(kernel))
}
