/** What a newcomer can type to see something. */
export function SendSpans() {
  return (
    <>
      <p>Point any OpenTelemetry SDK at this machine:</p>
      <pre>
        OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 OTEL_SERVICE_NAME=my-service \{"\n"}
        {"  "}opentelemetry-instrument python my_service.py
      </pre>
      <p>or let the shipped example send some:</p>
      <pre>spanhouse demo</pre>
    </>
  );
}
