package xtrace;

import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.SpanId;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceId;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.propagation.TextMapGetter;
import io.opentelemetry.context.propagation.TextMapPropagator;
import io.opentelemetry.context.propagation.TextMapSetter;
import io.opentelemetry.sdk.autoconfigure.spi.ConfigProperties;
import io.opentelemetry.sdk.autoconfigure.spi.ConfigurablePropagatorProvider;
import io.opentelemetry.sdk.trace.ReadableSpan;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;

/**
 * Propagates trace context in the headers X-Trace-ID, X-Span-ID and X-Parent-Span-ID, by the name {@code xtrace}.
 *
 * <p>Where another propagator has found a parent, that counts: name this one last.
 */
public final class XTracePropagator implements TextMapPropagator, ConfigurablePropagatorProvider {
  private static final String TRACE_ID = "x-trace-id";
  private static final String SPAN_ID = "x-span-id";
  private static final String PARENT_SPAN_ID = "x-parent-span-id";
  private static final Pattern UUID = Pattern.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}");

  @Override
  public String getName() {
    return "xtrace";
  }

  @Override
  public TextMapPropagator getPropagator(ConfigProperties config) {
    return this;
  }

  @Override
  public Collection<String> fields() {
    return List.of(TRACE_ID, SPAN_ID, PARENT_SPAN_ID);
  }

  /** The context that the headers say. What is malformed counts as none. */
  @Override
  public <C> Context extract(Context context, C carrier, TextMapGetter<C> getter) {
    if (Span.fromContext(context).getSpanContext().isValid()) {
      return context;
    }
    String traceId = id(getter.get(carrier, TRACE_ID));
    if (!TraceId.isValid(traceId)) {
      return context;
    }
    String said = getter.get(carrier, SPAN_ID);
    said = said != null ? said : getter.get(carrier, PARENT_SPAN_ID);
    // A trace id alone joins its trace, below the span whose id is its second half.
    String spanId = said != null ? id(said) : traceId.substring(16);
    if (!SpanId.isValid(spanId)) {
      return context;
    }
    SpanContext parent =
        SpanContext.createFromRemoteParent(traceId, spanId, TraceFlags.getSampled(), TraceState.getDefault());
    return context.with(Span.wrap(parent));
  }

  /** Writes the ids of the current span, and of its parent where that is known. */
  @Override
  public <C> void inject(Context context, C carrier, TextMapSetter<C> setter) {
    Span span = Span.fromContext(context);
    if (!span.getSpanContext().isValid()) {
      return;
    }
    setter.set(carrier, TRACE_ID, span.getSpanContext().getTraceId());
    setter.set(carrier, SPAN_ID, span.getSpanContext().getSpanId());
    if (span instanceof ReadableSpan recorded && recorded.getParentSpanContext().isValid()) {
      setter.set(carrier, PARENT_SPAN_ID, recorded.getParentSpanContext().getSpanId());
    }
  }

  /** An id in lower case, without the dashes of a UUID; empty for none. */
  private static String id(String text) {
    String lower = text == null ? "" : text.toLowerCase(Locale.ROOT);
    return UUID.matcher(lower).matches() ? lower.replace("-", "") : lower;
  }
}
