// SPDX-License-Identifier: Apache-2.0

package sip

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// nonceLasts is how long after its challenge an answer is taken.
const nonceLasts = time.Minute

// nonce makes one that says when it was made, and for which call: nothing of it is kept
// here, and what was overheard of one call is worth nothing for another.
func (s *Server) nonce(now time.Time, call string) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(now.UnixMilli()))
	return base64.RawURLEncoding.EncodeToString(append(b, s.seal(b, call)...))
}

func (s *Server) seal(at []byte, call string) []byte {
	h := hmac.New(sha256.New, s.key[:])
	h.Write(at)
	h.Write([]byte(call))
	return h.Sum(nil)[:16]
}

// fresh says whether a nonce was made here for the call, and lately.
func (s *Server) fresh(now time.Time, nonce, call string) bool {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != 8+16 || !hmac.Equal(b[8:], s.seal(b[:8], call)) {
		return false
	}
	age := now.Sub(time.UnixMilli(int64(binary.BigEndian.Uint64(b))))
	return age >= 0 && age <= nonceLasts
}

// authenticate checks the password of a caller (RFC 3261, section 22; RFC 8760). It gives
// the user, or the answer to send.
func (s *Server) authenticate(ctx context.Context, req *sip.Request) (user string, answer *sip.Response) {
	if s.config.Password == nil {
		return "", nil
	}
	call, now, stale := string(*req.CallID()), time.Now(), false
	for _, h := range req.GetHeaders("Authorization") {
		given, err := digest.ParseCredentials(h.Value())
		if err != nil || given.Realm != s.config.Realm || given.URI == "" || (given.QOP != "" && given.QOP != "auth") ||
			!slices.Contains(s.config.Algorithms, cmp.Or(strings.ToUpper(given.Algorithm), "MD5")) {
			continue
		}
		if !s.fresh(now, given.Nonce, call) {
			stale = true
			continue
		}
		password, known := s.config.Password(ctx, given.Username)
		challenge := &digest.Challenge{Realm: given.Realm, Nonce: given.Nonce, Algorithm: given.Algorithm}
		if given.QOP != "" {
			challenge.QOP = []string{given.QOP}
		}
		want, err := digest.Digest(challenge, digest.Options{
			Method: string(req.Method), URI: given.URI, Username: given.Username, Password: password, Count: given.Nc, Cnonce: given.Cnonce,
		})
		if err == nil && hmac.Equal([]byte(want.Response), []byte(given.Response)) && known {
			return given.Username, nil
		}
	}
	answer = sip.NewResponseFromRequest(req, sip.StatusUnauthorized, "Unauthorized", nil)
	nonce := s.nonce(now, call)
	for _, algorithm := range s.config.Algorithms {
		answer.AppendHeader(sip.NewHeader("WWW-Authenticate", `Digest realm="`+s.config.Realm+`", nonce="`+nonce+
			`", algorithm=`+algorithm+`, qop="auth", stale=`+strconv.FormatBool(stale)))
	}
	return "", answer
}
