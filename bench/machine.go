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

// The description of the machine, and the CPU time of its processes.

// moment is a time and the CPU time spent until then.
type moment struct {
	at              time.Time
	machine, server time.Duration // of all processes, and of OpenSearch
	ours            time.Duration // of the client of OpenSearch and of this process
}

// now returns the current moment. client is the process id of a client, or 0 if this process is
// the only one.
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

// span is the time between two moments, as since defines.
type span struct{ wall, others, all time.Duration }

// since returns the time since an earlier moment: the wall time, the wall time without the share
// of the processors that other programs used, and without the share of everything except
// OpenSearch.
func (m moment) since(began moment) span {
	wall, server := m.at.Sub(began.at), m.server-began.server
	rest := m.machine - began.machine - server
	cpus := time.Duration(runtime.NumCPU())
	return span{wall: wall, others: wall - (rest-(m.ours-began.ours))/cpus, all: wall - rest/cpus}
}

// tick is the unit of /proc.
const tick = 10 * time.Millisecond

// busy returns the CPU time of all processors since the machine started.
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

// cpuOf returns the CPU time of a process, with a resolution of 10 ms.
func cpuOf(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// utime and stime are the 14th and 15th field. The name before them can contain spaces.
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

// machine describes the CPU, the Go version and the kernel.
func machine() string {
	model := "unknown CPU"
	info, _ := os.ReadFile("/proc/cpuinfo") // an error leaves the model unknown
	if found := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(info); found != nil {
		model = string(found[1])
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%s, %d cores, %s, kernel %s", model, runtime.NumCPU(), runtime.Version(), bytes.TrimSpace(kernel))
}
