// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// The session timer of RFC 4028: a call that nobody refreshes is over, even when its BYE
// was lost.
const (
	leastExpires = 90 * time.Second
	mostExpires  = 24 * time.Hour
)

// refresh is what was agreed on.
type refresh struct {
	every time.Duration // 0 = no timer
	ours  bool          // we refresh
}

// timerOf reads what a request wants. small says that it wants less than may be.
func timerOf(req *sip.Request) (r refresh, small bool) {
	h := req.GetHeader("Session-Expires")
	if h == nil {
		h = req.GetHeader("x")
	}
	if h == nil {
		return refresh{}, false
	}
	value, parameters, _ := strings.Cut(h.Value(), ";")
	seconds, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31)
	if err != nil {
		return refresh{}, false
	}
	r.every = min(time.Duration(seconds)*time.Second, mostExpires)
	if r.every < leastExpires {
		return r, true
	}
	r.ours = !lists(req, "Supported", "timer")
	for p := range strings.SplitSeq(strings.ToLower(parameters), ";") {
		switch strings.ReplaceAll(p, " ", "") {
		case "refresher=uac":
			r.ours = false
		case "refresher=uas":
			r.ours = true
		}
	}
	return r, false
}

// headers are those of the answer.
func (r refresh) headers() []sip.Header {
	if r.every == 0 {
		return nil
	}
	who := "uac"
	if r.ours {
		who = "uas"
	}
	list := []sip.Header{sip.NewHeader("Session-Expires", fmt.Sprintf("%d;refresher=%s", int(r.every.Seconds()), who))}
	if !r.ours {
		list = append(list, sip.NewHeader("Require", "timer"))
	}
	return list
}

// after is when to act: half of the time for who refreshes, a third or 32 s before the end
// for who waits.
func (r refresh) after() time.Duration {
	if r.ours {
		return r.every / 2
	}
	return r.every - min(r.every/3, 32*time.Second)
}

// lists says whether a header has a word in its list. Each of them has a compact form.
func lists(req *sip.Request, name, word string) bool {
	for _, n := range []string{name, map[string]string{"Supported": "k"}[name]} {
		for _, h := range req.GetHeaders(n) {
			for w := range strings.SplitSeq(h.Value(), ",") {
				if strings.EqualFold(strings.TrimSpace(w), word) {
					return true
				}
			}
		}
	}
	return false
}

// unknown gives the extensions that a request requires and that are not known here.
func unknown(req *sip.Request) (list []string) {
	for _, h := range req.GetHeaders("Require") {
		for w := range strings.SplitSeq(h.Value(), ",") {
			if w = strings.TrimSpace(w); w != "" && !strings.EqualFold(w, "timer") {
				list = append(list, w)
			}
		}
	}
	return list
}
