// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/parley-voice/parley/internal/thirdparty"
	"github.com/parley-voice/parley/transport"
	"github.com/parley-voice/parley/transport/codec"
	"github.com/parley-voice/parley/transport/transporttest"
)

// scenario is a call of sipp: it speaks for a second, presses a key by INFO, puts the call
// on hold and takes it back, and hangs up.
const scenario = `<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="call">
  %s
  <send>
    <![CDATA[
      ACK [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: sipp <sip:sipp@[local_ip]:[local_port]>;tag=[call_number]
      [last_To:]
      Call-ID: [call_id]
      CSeq: [cseq] ACK
      Max-Forwards: 70
      Content-Length: 0

    ]]>
  </send>
  <nop><action><exec rtp_stream="%s,1,0"/></action></nop>
  <pause milliseconds="1200"/>
  <send retrans="500">
    <![CDATA[
      INFO [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: sipp <sip:sipp@[local_ip]:[local_port]>;tag=[call_number]
      [last_To:]
      Call-ID: [call_id]
      CSeq: [cseq] INFO
      Max-Forwards: 70
      Content-Type: application/dtmf-relay
      Content-Length: [len]

      Signal=4
      Duration=120
    ]]>
  </send>
  <recv response="200"/>
  %s
  %s
  <send retrans="500">
    <![CDATA[
      BYE [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: sipp <sip:sipp@[local_ip]:[local_port]>;tag=[call_number]
      [last_To:]
      Call-ID: [call_id]
      CSeq: [cseq] BYE
      Max-Forwards: 70
      Content-Length: 0

    ]]>
  </send>
  <recv response="200"/>
</scenario>
`

// invitation is an INVITE of sipp. With a tag it is of the call that there is.
func invitation(more, direction string, within bool) string {
	target, to := "sip:[service]@[remote_ip]:[remote_port]", "To: agent <sip:[service]@[remote_ip]:[remote_port]>"
	if within {
		target, to = "[next_url]", "[last_To:]"
	}
	if more != "" {
		more = "\n      " + more
	}
	return fmt.Sprintf(`<send retrans="500">
    <![CDATA[
      INVITE %s SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: sipp <sip:sipp@[local_ip]:[local_port]>;tag=[call_number]
      %s
      Call-ID: [call_id]
      CSeq: [cseq] INVITE
      Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>
      Max-Forwards: 70
      X-Parley-Token: `+transporttest.Token+`%s
      Content-Type: application/sdp
      Content-Length: [len]

      v=0
      o=user1 53655765 2353687637 IN IP[local_ip_type] [local_ip]
      s=-
      c=IN IP[media_ip_type] [media_ip]
      t=0 0
      m=audio [media_port] RTP/AVP 0
      a=rtpmap:0 PCMU/8000
      a=%s
    ]]>
  </send>`, target, to, more, direction)
}

const (
	rings    = `<recv response="100" optional="true"/><recv response="180" optional="true"/>`
	accepted = rings + `<recv response="200" rrs="true"/>`
)

func changed(direction string) string {
	return invitation("", direction, true) + accepted + `<send>
    <![CDATA[
      ACK [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: sipp <sip:sipp@[local_ip]:[local_port]>;tag=[call_number]
      [last_To:]
      Call-ID: [call_id]
      CSeq: [cseq] ACK
      Max-Forwards: 70
      Content-Length: 0

    ]]>
  </send>`
}

// TestSipp: sipp calls, as a program that knows nothing of us, over UDP and TCP, with and
// without a password.
func TestSipp(t *testing.T) {
	sipp, err := exec.LookPath("sipp")
	if err != nil {
		thirdparty.Unable(t, "sipp is not installed (apt-get install sip-tester)")
	}
	for _, c := range []struct {
		name, network string
		password      bool
	}{{"udp", "udp", false}, {"tcp", "tcp", false}, {"password", "udp", true}} {
		t.Run(c.name, func(t *testing.T) {
			config := Config{}
			begin := invitation("", "sendrecv", false) + accepted
			if c.password {
				config.Password = func(_ context.Context, user string) (string, bool) { return "open sesame", user == "alice" }
				begin = invitation("", "sendrecv", false) + rings + `<recv response="401" auth="true"/><send>
    <![CDATA[
      ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0
      [last_Via:]
      From: sipp <sip:sipp@[local_ip]:[local_port]>;tag=[call_number]
      [last_To:]
      Call-ID: [call_id]
      CSeq: [cseq] ACK
      Max-Forwards: 70
      Content-Length: 0

    ]]>
  </send>` + invitation("[authentication username=alice password=\"open sesame\"]", "sendrecv", false) + accepted
			}
			s, host := serve(t, config, transporttest.Config{})
			dir := t.TempDir()
			voice := filepath.Join(dir, "voice.ulaw")
			if err := os.WriteFile(voice, codec.MuLaw.Encode(nil, tone(8000, 8000)), 0o600); err != nil {
				t.Fatal(err)
			}
			script := filepath.Join(dir, "call.xml")
			if err := os.WriteFile(script, fmt.Appendf(nil, scenario, begin, voice, changed("sendonly"), changed("sendrecv")), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithTimeout(t.Context(), 3*patience)
			defer stop()
			cmd := exec.CommandContext(ctx, sipp, s.Addr(c.network).String(), "-sf", script, "-m", "1", "-i", "127.0.0.1", "-mi", "127.0.0.1",
				"-t", c.network[:1]+"1", "-s", "agent", "-nostdin", "-timeout", "30s", "-timeout_error", "-trace_err", "-error_file", filepath.Join(dir, "errors"))
			cmd.Dir = dir
			done := make(chan error, 1)
			var out []byte
			go func() {
				var err error
				out, err = cmd.CombinedOutput()
				done <- err
			}()
			session := host.Next()
			session.Play("a", 1, tone(10*transport.FrameSamples, transport.SampleRate))
			heard := session.AwaitHeard(30 * transport.FrameSamples)
			transporttest.Await(session, func(c transport.Control) bool { return c.Digit == "4" && c.DurationMS == 120 })
			transporttest.Await(session, func(m transporttest.Muted) bool { return m.On })
			transporttest.Await(session, func(m transporttest.Muted) bool { return !m.On })
			transporttest.Await(session, func(l transport.LinkState) bool { return l == transport.LinkLeft })
			session.AwaitDone()
			if v := loudest(heard); v < 7000 || v > 9000 {
				t.Errorf("a voice of 8000 is heard at %d", v)
			}
			select {
			case err := <-done:
				if err != nil {
					told, _ := os.ReadFile(filepath.Join(dir, "errors"))
					t.Errorf("sipp: %v\n%s\n%s", err, told, out)
				}
			case <-time.After(3 * patience):
				t.Error("sipp does not end")
			}
		})
	}
}
