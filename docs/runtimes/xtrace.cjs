// The propagator of the headers X-Trace-ID, X-Span-ID and X-Parent-Span-ID, and OpenTelemetry's SDK set up with it:
//
//     NODE_OPTIONS="--require /path/to/xtrace.cjs" node server.js
//
// The service is started in the directory of its package.json, where the packages that are required are found.
'use strict';

const { createRequire } = require('node:module');
const path = require('node:path');

// Of the service, wherever this file is.
const load = createRequire(path.join(process.cwd(), 'package.json'));
const { diag, isValidSpanId, isValidTraceId, trace, TraceFlags } = load('@opentelemetry/api');

const TRACE_ID = 'x-trace-id';
const SPAN_ID = 'x-span-id';
const PARENT_SPAN_ID = 'x-parent-span-id';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The one id that a header says, in lower case and without the dashes of a UUID; `undefined` where it says none. */
function said(carrier, getter, name) {
  const value = getter.get(carrier, name);
  const text = Array.isArray(value) ? (value.length === 1 ? value[0] : undefined) : value;
  if (typeof text !== 'string') return undefined;
  return (UUID.test(text) ? text.replaceAll('-', '') : text).toLowerCase();
}

class XTracePropagator {
  #told = false;

  fields() {
    return [TRACE_ID, SPAN_ID, PARENT_SPAN_ID];
  }

  /** Where another propagator has found a parent, that counts: put this one last. */
  extract(context, carrier, getter) {
    if (trace.getSpanContext(context) !== undefined || getter.get(carrier, TRACE_ID) === undefined) return context;
    const traceId = said(carrier, getter, TRACE_ID) ?? '';
    // A trace id alone joins its trace, below the span whose id is its second half.
    const spanName = [SPAN_ID, PARENT_SPAN_ID].find((name) => getter.get(carrier, name) !== undefined);
    const spanId = spanName === undefined ? traceId.slice(16) : (said(carrier, getter, spanName) ?? '');
    if (!isValidTraceId(traceId) || !isValidSpanId(spanId)) {
      if (!this.#told) diag.warn('X-Trace headers that are malformed or repeated count as none');
      this.#told = true;
      return context;
    }
    return trace.setSpanContext(context, { traceId, spanId, isRemote: true, traceFlags: TraceFlags.SAMPLED });
  }

  inject(context, carrier, setter) {
    const span = trace.getSpan(context);
    if (span === undefined || !isValidTraceId(span.spanContext().traceId)) return;
    setter.set(carrier, TRACE_ID, span.spanContext().traceId);
    setter.set(carrier, SPAN_ID, span.spanContext().spanId);
    const parent = span.parentSpanContext?.spanId;
    if (parent !== undefined) setter.set(carrier, PARENT_SPAN_ID, parent);
  }
}

const { getNodeAutoInstrumentations } = load('@opentelemetry/auto-instrumentations-node');
const { core, NodeSDK } = createRequire(load.resolve('@opentelemetry/auto-instrumentations-node'))('@opentelemetry/sdk-node');

const sdk = new NodeSDK({
  instrumentations: [getNodeAutoInstrumentations()],
  textMapPropagator: new core.CompositePropagator({
    propagators: [new core.W3CTraceContextPropagator(), new core.W3CBaggagePropagator(), new XTracePropagator()],
  }),
});
sdk.start();
// What has not been sent yet is sent when the service ends.
for (const event of ['SIGTERM', 'beforeExit']) process.once(event, () => sdk.shutdown());
