// Package xtrace propagates trace context in the headers X-Trace-ID, X-Span-ID and X-Parent-Span-ID.
//
// Importing it makes the name xtrace known to OTEL_PROPAGATORS, where autoprop reads that.
package xtrace

import (
	"context"
	"strings"

	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const (
	traceID      = "x-trace-id"
	spanID       = "x-span-id"
	parentSpanID = "x-parent-span-id"
)

func init() {
	autoprop.RegisterTextMapPropagator("xtrace", Propagator{})
}

// Propagator reads and writes the headers. Where another propagator has found a parent, that counts: name this one last.
type Propagator struct{}

// Extract gives the context that the headers say. What is malformed counts as none.
func (Propagator) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	traceText, ok := plain(carrier.Get(traceID))
	if !ok {
		return ctx
	}
	spanText := carrier.Get(spanID)
	if spanText == "" {
		spanText = carrier.Get(parentSpanID)
	}
	if spanText == "" {
		// A trace id alone joins its trace, below the span whose id is its second half.
		spanText = traceText[16:]
	}
	inTrace, err := trace.TraceIDFromHex(traceText)
	if err != nil {
		return ctx
	}
	parent, err := trace.SpanIDFromHex(strings.ToLower(spanText))
	if err != nil {
		return ctx
	}
	said := trace.SpanContextConfig{TraceID: inTrace, SpanID: parent, TraceFlags: trace.FlagsSampled, Remote: true}
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(said))
}

// Inject writes the ids of the current span, and of its parent where that is known.
func (Propagator) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	span := trace.SpanFromContext(ctx)
	own := span.SpanContext()
	if !own.IsValid() {
		return
	}
	carrier.Set(traceID, own.TraceID().String())
	carrier.Set(spanID, own.SpanID().String())
	if known, ok := span.(interface{ Parent() trace.SpanContext }); ok && known.Parent().IsValid() {
		carrier.Set(parentSpanID, known.Parent().SpanID().String())
	}
}

// Fields are the names of the headers.
func (Propagator) Fields() []string {
	return []string{traceID, spanID, parentSpanID}
}

// plain gives the 32 digits of a trace id, which may be written as a UUID.
func plain(text string) (string, bool) {
	if len(text) == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-' {
		text = strings.ReplaceAll(text, "-", "")
	}
	return strings.ToLower(text), len(text) == 32
}
