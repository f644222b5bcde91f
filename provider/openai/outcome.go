// SPDX-License-Identifier: Apache-2.0

package openai

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/parley-voice/parley/provider"
)

const (
	errorBodyMax = 64 << 10 // bytes of an error body that are looked at
	backoffMax   = time.Hour
)

// failed makes the outcome of an infrastructure failure.
func failed(reason string, retryable bool, detail string) provider.Outcome {
	return provider.Outcome{
		Class: provider.OutcomeInfrastructureFailure, Reason: reason, Retryable: retryable, Detail: detail,
	}
}

// statusOutcome maps an answer that is no success to an outcome.
func statusOutcome(resp *http.Response) provider.Outcome {
	var body errorBody
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, errorBodyMax))
	_ = json.Unmarshal(raw, &body) // what is not JSON has no codes
	var f fault
	if body.Error != nil {
		f = *body.Error
	}
	o := byStatus(resp.StatusCode, f)
	o.StatusCode = resp.StatusCode
	o.Detail = "the server answered HTTP " + strconv.Itoa(resp.StatusCode)
	if codes := strings.TrimSuffix(f.Type+", "+f.Code, ", "); codes != "" {
		o.Detail += " (" + strings.TrimPrefix(codes, ", ") + ")"
	}
	if hint := remedy(resp.StatusCode); hint != "" {
		o.Detail += "; " + hint
	}
	if o.Class == provider.OutcomeOverload {
		o.Backoff = backoff(resp.Header)
	}
	return o
}

func byStatus(status int, f fault) provider.Outcome {
	o := provider.Outcome{Class: provider.OutcomeInfrastructureFailure}
	switch {
	case status >= 400 && status < 500 && f.policy():
		o.Class, o.Reason = provider.OutcomeBlocked, "content_policy"
	case status == http.StatusTooManyRequests && (f.Code == "insufficient_quota" || f.Type == "insufficient_quota"):
		o.Class, o.Reason = provider.OutcomeOverload, "quota_exhausted"
	case status == http.StatusTooManyRequests:
		o.Class, o.Reason, o.Retryable = provider.OutcomeOverload, "rate_limited", true
	case status == http.StatusRequestTimeout, status == http.StatusGatewayTimeout:
		o.Class, o.Reason, o.Retryable = provider.OutcomeTimeout, "server_timeout", true
	case status >= 500:
		o.Reason, o.Retryable = "server_error", true
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		o.Reason = "unauthorized"
	case status == http.StatusNotFound:
		o.Reason = "not_found"
	case f.Code == "context_length_exceeded":
		o.Reason = "context_length_exceeded"
	case status >= 400:
		o.Reason = "bad_request"
	case status >= 300:
		o.Reason = "unexpected_redirect"
	default:
		o.Reason = "unexpected_status"
	}
	return o
}

// policy reports the codes by which servers refuse what was said.
func (f fault) policy() bool {
	for _, s := range [...]string{f.Code, f.Type} {
		switch s {
		case "content_policy_violation", "content_filter", "content_policy", "moderation_blocked", "invalid_prompt":
			return true
		}
	}
	return false
}

func remedy(status int) string {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return "check the API key"
	case status == http.StatusNotFound:
		return "check the base URL and the model's name"
	case status >= 300 && status < 400:
		return "give the base URL that it redirects to"
	}
	return ""
}

// backoff reads how long the server asks to wait, 0 when it does not say: Retry-After in
// seconds or as a date (RFC 9110 section 10.2.3), or OpenAI's retry-after-ms.
func backoff(h http.Header) time.Duration {
	var d time.Duration
	if ms, err := strconv.ParseInt(h.Get("Retry-After-Ms"), 10, 64); err == nil {
		d = time.Duration(min(max(ms, 0), backoffMax.Milliseconds())) * time.Millisecond
	} else if s, err := strconv.ParseInt(h.Get("Retry-After"), 10, 64); err == nil {
		d = time.Duration(min(max(s, 0), int64(backoffMax/time.Second))) * time.Second
	} else if at, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		now, err := http.ParseTime(h.Get("Date")) // the server's own clock
		if err != nil {
			return 0
		}
		d = min(max(at.Sub(now), 0), backoffMax)
	}
	return d
}

// transportOutcome maps an error of the connection. Before the first byte of an answer a
// lost connection is connect_failed, after it disconnected.
func transportOutcome(ctx context.Context, err error, answered bool) provider.Outcome {
	if ctxErr := ctx.Err(); ctxErr != nil {
		o, _ := provider.ContextOutcome(ctxErr)
		return o
	}
	if o, ok := provider.ContextOutcome(err); ok {
		return o
	}
	var (
		dns      *net.DNSError
		timeout  net.Error
		untrust  x509.UnknownAuthorityError
		wrong    x509.HostnameError
		invalid  x509.CertificateInvalidError
		notTLS   tls.RecordHeaderError
		tlsCause = errors.As(err, &untrust) || errors.As(err, &wrong) || errors.As(err, &invalid) || errors.As(err, &notTLS)
	)
	switch {
	case errors.Is(err, errLineTooLong), errors.Is(err, errReplyTooLarge):
		return failed("malformed_response", false, err.Error())
	case errors.As(err, &timeout) && timeout.Timeout():
		return provider.Outcome{Class: provider.OutcomeTimeout, Reason: "network_timeout", Retryable: true, Detail: "the network gave no answer in time"}
	case errors.As(err, &dns):
		return failed("dns_failure", true, fmt.Sprintf("host %q has no address", dns.Name))
	case errors.Is(err, syscall.ECONNREFUSED):
		return failed("connection_refused", true, "nothing listens at the base URL; start the server or correct the URL")
	case tlsCause:
		return failed("tls_failure", false, "no secure connection could be made: "+err.Error())
	case answered:
		return failed("disconnected", true, "the server closed the connection in the middle of its answer")
	}
	return failed("connect_failed", true, "the connection failed before an answer came")
}
