// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"time"

	"github.com/parley-voice/parley/internal/load"
)

// The parts of the case sockets, each a process of its own: so the system tells the
// processor time of the server from that of those who call it.
const (
	PartServer  = "server"
	PartCallers = "callers"
)

// DefaultSessions is how many callers the case sockets has.
const DefaultSessions = 500

// figures are what one part measured since it was asked last.
type figures struct {
	CPU      time.Duration `json:"cpu"`
	Sessions int64         `json:"sessions"` // open now
	Frames   int64         `json:"frames"`   // server: to callers; callers: from the server
	Sent     int64         `json:"sent"`     // callers: frames that they sent
	P50      int64         `json:"p50"`      // lateness of Frames, ns
	P99      int64         `json:"p99"`
	Failed   int64         `json:"failed"` // callers that could not connect or were cut off, in all
}

// part is a process that answers a line with its figures.
type part struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startPart(cmd *exec.Cmd) (p *part, err error) {
	p = &part{cmd: cmd}
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	return p, cmd.Start()
}

// ask waits for a line of the part.
func (p *part) ask(answer any) error {
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		return err
	}
	return p.told(answer)
}

func (p *part) told(answer any) error {
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("a part of the bench has ended: %w", err)
	}
	return json.Unmarshal(line, answer)
}

// end has the part finish, which the end of its input says.
func (p *part) end() error {
	_ = p.in.Close() // it may have gone
	kill := time.AfterFunc(time.Minute, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	return p.cmd.Wait()
}

// answer gives figures for each line of in, until that ends.
func answer(in io.Reader, out io.Writer, figure func() figures) error {
	encode := json.NewEncoder(out)
	for s := bufio.NewScanner(in); s.Scan(); {
		if err := encode.Encode(figure()); err != nil {
			return err
		}
	}
	return nil
}

// socketRun is what was measured over the windows that count.
type socketRun struct {
	floors, socket, server, half []float64 // ns
	cost, callers                []float64 // cpu ns of a session's second; cores
	in, out                      []float64 // frames/s
	stolen                       []float64 // shares
	void                         int
	others                       float64 // cores, of the last window that was void
	failed                       int64
}

// sockets is the case of callers over WebSockets, server and callers in processes of their
// own: lateness at both ends, and what the server costs.
func (c *crowds) sockets() (rows []Result, err error) {
	if c.o.Part == nil {
		return nil, errors.New("bench: there is no program to run the server and the callers as")
	}
	if c.floor == nil {
		if c.floor, err = newFloor(); err != nil {
			return nil, err
		}
	}
	run, err := c.overSockets(c.o.Sessions)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	plain, err := c.at(c.o.Sessions, 1)
	if err != nil {
		return nil, err
	}
	return run.rows(c.o.Sessions, plain), nil
}

// overSockets runs the two processes and measures them in turn with the floor.
func (c *crowds) overSockets(n int) (r *socketRun, err error) {
	c.o.Say(fmt.Sprintf("%d sessions over WebSocket", n))
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	server, err := startPart(c.o.Part(ctx, PartServer, strconv.Itoa(n)))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.end()) }()
	var at struct{ Address string }
	if err := server.told(&at); err != nil {
		return nil, err
	}
	callers, err := startPart(c.o.Part(ctx, PartCallers, strconv.Itoa(n), at.Address))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, callers.end()) }()
	time.Sleep(crowdRamp + c.o.WarmUp)
	r = &socketRun{}
	each, row := max(c.o.Each, leastWindow), 0
	for most := voids * c.o.Runs; len(r.socket) < c.o.Runs && r.void < most; {
		late, err := c.floor.measure(ctx, each)
		if err != nil {
			return nil, err
		}
		if err := r.measure(server, callers, each, c.machine(), len(r.socket) == 0 && r.void == most-1); err != nil {
			return nil, err
		}
		if len(r.socket) > len(r.floors) {
			r.floors, row = append(r.floors, float64(percentile(late, 99))), 0
			continue
		}
		row++
		c.o.again(fmt.Sprintf("%d sessions over WebSocket", n), r.void, row, most)
	}
	return r, nil
}

// measure takes one window; a void one counts where there is no other.
func (r *socketRun) measure(server, callers *part, each time.Duration, m *load.Machine, anyway bool) error {
	var s, x figures
	if err := errors.Join(server.ask(&s), callers.ask(&x)); err != nil {
		return err
	}
	stolen := -1.0
	if m.Stolen != nil {
		m.Stolen()
	}
	busy, own, began := m.Busy(), m.ProcessorTime(), time.Now()
	time.Sleep(each)
	if err := errors.Join(server.ask(&s), callers.ask(&x)); err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	if m.Stolen != nil {
		stolen = m.Stolen()
	}
	w := load.Window{Stolen: stolen, Others: max(0, (m.Busy()-busy-(m.ProcessorTime()-own)-s.CPU-x.CPU).Seconds()/took)}
	if w.Void() {
		r.void++
		r.others = w.Others
		if !anyway {
			return nil
		}
	}
	r.failed = x.Failed
	r.socket, r.server, r.half = append(r.socket, float64(x.P99)), append(r.server, float64(s.P99)), append(r.half, float64(x.P50))
	r.cost = append(r.cost, float64(s.CPU)/took/float64(max(1, s.Sessions)))
	r.callers = append(r.callers, x.CPU.Seconds()/took)
	r.in, r.out = append(r.in, float64(x.Sent)/took), append(r.out, float64(x.Frames)/took)
	r.stolen = append(r.stolen, stolen)
	return nil
}

// rows are the figures, as rows. They have no target but that the frames are carried.
func (r *socketRun) rows(n int, plain *crowdRun) []Result {
	var without []float64
	if cost := plain.of(func(w *load.Window) float64 { return w.PerSession * 1e3 }); len(cost) > 0 {
		for range r.cost {
			without = append(without, median(cost))
		}
	}
	late := fmt.Sprintf("%d WebSocket sessions: frame lateness p99 at ", n)
	rows := []Result{
		r.row(Result{Subject: late + "the callers' socket", Denominator: "floor p99", Unit: "ns"}, r.floors, r.socket),
		r.row(Result{Subject: late + "the server's link", Denominator: "floor p99", Unit: "ns"}, r.floors, r.server),
		r.row(Result{Subject: fmt.Sprintf("%d WebSocket sessions: processor time of a session", n), Denominator: "without a network", Unit: "cpu ns/s"}, without, r.cost),
	}
	if len(r.socket) > 0 {
		rows[0].Note = fmt.Sprintf("p50 at the socket %v; %.0f frames/s in and %.0f out", time.Duration(median(r.half)).Round(time.Microsecond), median(r.in), median(r.out))
		rows[2].Note = fmt.Sprintf("the server used %.2f cores, the callers, a process of their own, %.2f", median(r.cost)*float64(n)/1e9, median(r.callers))
		if carried := median(r.in) / float64(50*n); carried < 0.98 || median(r.out) == 0 {
			rows[0].Met, rows[1].Met = false, false
			rows[0].Note += fmt.Sprintf("; the machine carried %.0f %% of the callers' frames, and %.0f frames/s of answers: it is too small or too busy", 100*carried, median(r.out))
		}
		if r.failed > 0 {
			rows[0].Note += fmt.Sprintf("; %d callers were cut off or not let in", r.failed)
		}
		if r.others > 0 && r.void >= len(r.socket) {
			rows[0].Note += fmt.Sprintf("; NOT QUIET: other processes used %.2f cores, so these figures are theirs as well", r.others)
		}
	}
	return rows
}

func (r *socketRun) row(row Result, bases, values []float64) Result {
	row.ID, row.Void, row.Met = "sockets", r.void, true
	if len(values) == 0 {
		row.Note = crowdVoidNote
		return row
	}
	row.Value, row.StolenPct = median(values), 100*median(r.stolen)
	if len(bases) == len(values) && median(bases) > 0 {
		row.Base = median(bases)
		row.Ratio = row.Value / row.Base
	}
	return row
}
