// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/parley-voice/parley"
	"github.com/parley-voice/parley/api/controlplane"
	"github.com/parley-voice/parley/api/eventabi"
	"github.com/parley-voice/parley/internal/kernel/session"
	"github.com/parley-voice/parley/internal/kernel/timebase"
	"github.com/parley-voice/parley/internal/runtime/histogram"
	"github.com/parley-voice/parley/transport"
)

// metricSet is what /metrics shows: what sessions tell as it happens, and what is read of
// host and runtime when somebody asks.
type metricSet struct {
	server     *Server
	registry   *prometheus.Registry
	firstAudio *prometheus.HistogramVec
	cancels    prometheus.Histogram
	turns      *prometheus.CounterVec
	away       *prometheus.CounterVec
	described  map[string]*prometheus.Desc
}

// metricNames are the metrics that are read when somebody asks, with their labels.
func metricNames() map[string][]string {
	return map[string][]string{
		"parley_sessions State of the sessions that are open.":                                         {"state", "transport", "tenant"},
		"parley_sessions_ended_total Sessions that ended.":                                             nil,
		"parley_refusals_total Offers that were turned down, by code.":                                 {"reason"},
		"parley_frames_in_total Frames of 20 ms that came from callers.":                               nil,
		"parley_frames_out_total Frames of 20 ms at the sinks.":                                        nil,
		"parley_frames_after_fence_total Frames at the sinks of a turn that was fenced: zero, always.": nil,
		"parley_frames_missing_total Frames of callers that did not come in time, lost or late.":       nil,
		"parley_frames_concealed_total Frames of those that were guessed.":                             nil,
		"parley_control_preempt_seconds How long control waits for its session.":                       {"quantile"},
		"parley_frame_lateness_seconds How late frames are handed to their sinks.":                     {"quantile"},
		"parley_pool_wait_seconds How long work of nodes waits for a worker.":                          {"quantile"},
		"parley_owner_stalls_total How often a session held an owner up.":                              nil,
		"parley_pool_tasks Pieces of work in the execution pool.":                                      {"state"},
		"parley_provider_calls Calls of providers that are under way.":                                 nil,
		"parley_admission_capacity Sessions that the host believes it can carry.":                      nil,
		"parley_admission_starts_total Decisions about sessions that came.":                            {"outcome"},
		"parley_overload_level Overload level in force; 0 is none.":                                    nil,
		"parley_connections_refused_total Connections beyond http.max_connections.":                    nil,
		"parley_ready Whether sessions are taken.":                                                     nil,
		"parley_build_info The program.":                                                               {"build"},
	}
}

func newMetrics(s *Server) *metricSet {
	// From one frame to four seconds.
	buckets := []float64{.02, .05, .1, .15, .2, .3, .4, .5, .65, .8, 1, 1.5, 2, 3, 4}
	m := &metricSet{
		server: s, registry: prometheus.NewRegistry(), described: map[string]*prometheus.Desc{},
		firstAudio: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "parley_first_audio_seconds", Help: "From the end of an utterance to the first sound of its answer.", Buckets: buckets,
		}, []string{"transport"}),
		cancels: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "parley_cancel_latency_seconds", Help: "From the acceptance of a cancel to its fence.",
			Buckets: []float64{1e-6, 1e-5, 1e-4, 1e-3, 5e-3, 1e-2, 5e-2, .1, .5},
		}),
		turns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_turns_total", Help: "Turns by how they ended.",
		}, []string{"outcome"}),
		away: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_requests_refused_total", Help: "Requests that were turned away before anybody looked at them.",
		}, []string{"reason"}),
	}
	for text, labels := range metricNames() {
		name, help, _ := strings.Cut(text, " ")
		m.described[name] = prometheus.NewDesc(name, help, labels, nil)
	}
	m.registry.MustRegister(m, m.firstAudio, m.cancels, m.turns, m.away,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// turnedAway counts a request that nobody looked at.
func (m *metricSet) turnedAway(reason string) { m.away.WithLabelValues(reason).Inc() }

// Describe tells of what Collect gives.
func (m *metricSet) Describe(out chan<- *prometheus.Desc) {
	for _, d := range m.described {
		out <- d
	}
}

// Collect reads host and runtime.
func (m *metricSet) Collect(out chan<- prometheus.Metric) {
	put := func(kind prometheus.ValueType, name string, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(m.described[name], kind, v, labels...)
	}
	gauge := func(name string, v float64, labels ...string) { put(prometheus.GaugeValue, name, v, labels...) }
	count := func(name string, v int64, labels ...string) {
		put(prometheus.CounterValue, name, float64(v), labels...)
	}
	s := m.server
	count("parley_connections_refused_total", s.overflow.Load())
	gauge("parley_build_info", 1, s.program.Build)
	up := 0.0
	if stage(s.state.Load()) == ready {
		up = 1
	}
	gauge("parley_ready", up)
	if h := s.host.Load(); h != nil {
		collectHost(h, gauge, count)
	}
	if r := s.runtime.Load(); r != nil {
		collectRuntime(r, gauge, count)
	}
}

type (
	gauging  func(name string, v float64, labels ...string)
	counting func(name string, v int64, labels ...string)
)

func collectHost(h *parley.Host, gauge gauging, count counting) {
	type key struct{ state, transport, tenant string }
	open := map[key]int{}
	for _, st := range h.Sessions() {
		if st.State != parley.StateEnded {
			open[key{string(st.State), string(st.Transport), st.Tenant}]++
		}
	}
	for k, n := range open {
		gauge("parley_sessions", float64(n), k.state, k.transport, k.tenant)
	}
	stats := h.Stats()
	count("parley_sessions_ended_total", stats.Ended)
	for code, n := range stats.Refused {
		count("parley_refusals_total", n, string(code))
	}
	count("parley_frames_in_total", stats.Traffic.FramesIn)
	count("parley_frames_out_total", stats.Traffic.FramesOut)
	count("parley_frames_after_fence_total", stats.Traffic.FramesAfterFence)
	count("parley_frames_missing_total", stats.Traffic.FramesMissing)
	count("parley_frames_concealed_total", stats.Traffic.FramesConcealed)
}

func collectRuntime(r *parley.Runtime, gauge gauging, count counting) {
	t := r.Timing()
	for _, f := range [...]struct {
		name string
		of   histogram.Snapshot
	}{
		{"parley_control_preempt_seconds", t.ControlPreempt}, {"parley_frame_lateness_seconds", t.FrameLateness}, {"parley_pool_wait_seconds", t.PoolWait},
	} {
		gauge(f.name, seconds(f.of.Quantile(500)), "0.5")
		gauge(f.name, seconds(f.of.Quantile(990)), "0.99")
	}
	count("parley_owner_stalls_total", t.Stalls)
	pool := r.Work()
	gauge("parley_pool_tasks", float64(pool.Queued), "queued")
	gauge("parley_pool_tasks", float64(pool.Active), "active")
	gauge("parley_pool_tasks", float64(pool.Stalled), "stalled")
	gauge("parley_provider_calls", float64(pool.Streams))
	a := r.Admission()
	gauge("parley_admission_capacity", float64(a.Capacity))
	gauge("parley_overload_level", float64(a.Level))
	count("parley_admission_starts_total", a.Starts.Admitted, "admit")
	count("parley_admission_starts_total", a.Starts.Degraded, "degrade")
	count("parley_admission_starts_total", a.Starts.Deferred, "defer")
	count("parley_admission_starts_total", a.Starts.Rejected, "reject")
}

func seconds(ns int64) float64 { return time.Duration(ns).Seconds() }

// metricsHandler shows the metrics to the operator.
func (s *Server) metricsHandler() http.Handler {
	show := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{Timeout: answerTime / 2, MaxRequestsInFlight: 4})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v, err := s.who(r); err != nil || !v.operator {
			w.Header().Set("WWW-Authenticate", "Bearer")
			fail(w, http.StatusUnauthorized, "token_invalid", "metrics are the operator's: set auth.operator_token, and show it as Authorization: Bearer")
			return
		}
		show.ServeHTTP(w, r)
	})
}

// watch gives who is told what a session does: it measures, and logs its begin and end.
func (s *Server) watch(g parley.Grant, kind transport.Kind) func(*parley.Notice) {
	log := s.program.Log.With("session", string(g.Session), "tenant", g.Tenant, "transport", string(kind))
	first := s.metrics.firstAudio.WithLabelValues(string(kind))
	var asked timebase.Instant // the end of the last utterance that has no sound for an answer
	began := false             // else it was refused, and that is logged
	return func(n *parley.Notice) {
		switch r := n.Record.(type) { //nolint:gochecksumtype // the others are not measured here
		case *session.EndOfUtterance, *session.TextIn:
			asked = n.At
		case *session.Emit:
			switch e := &r.Envelope; e.Signal { //nolint:exhaustive // likewise
			case eventabi.SignalPlaybackStarted:
				if asked > 0 {
					first.Observe(time.Duration(n.At.Sub(asked)).Seconds())
					asked = 0
				}
			case eventabi.SignalCommit, eventabi.SignalAbort:
				s.metrics.turns.WithLabelValues(outcome(e)).Inc()
			}
		case *session.Fence:
			if !r.Session {
				s.metrics.cancels.Observe(time.Duration(n.FenceTook).Seconds())
			}
		case *session.SessionChange:
			if r.To == controlplane.SessionActive {
				began = true
				log.Info("session began")
			}
		case *session.Ended:
			if began {
				log.Info("session ended", "reason", r.Reason)
			}
		case *session.RuntimeFault:
			log.Error("session failed", "reason", r.Reason, "detail", n.Detail)
		case *session.NodeFailed:
			log.Warn("node failed", "node", string(r.Node), "reason", r.Reason, "detail", n.Detail)
		}
	}
}

// outcome is how a turn ended: commit, or the reason of its abort, of which there is a
// closed list.
func outcome(e *eventabi.Envelope) string {
	if e.Signal == eventabi.SignalAbort {
		return e.Reason
	}
	return string(e.Signal)
}

// refused logs an offer that was turned down.
func (s *Server) refused(o transport.Offer, err error) {
	level := slog.LevelInfo
	if answer := (*transport.RefusedError)(nil); errors.As(err, &answer) && answer.Code == transport.RefusedInternal {
		level = slog.LevelError
	}
	s.program.Log.Log(context.Background(), level, "session refused", "transport", string(o.Kind), "remote", o.Remote, "reason", err.Error())
}
