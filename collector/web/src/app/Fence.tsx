import { Component, type ComponentChildren } from "preact";

interface State {
  error: unknown;
}

/** Keeps a fault of one view from taking the whole page away. */
export class Fence extends Component<{ children: ComponentChildren }, State> {
  override state: State = { error: undefined };

  static getDerivedStateFromError(error: unknown): State {
    return { error };
  }

  override render() {
    if (this.state.error === undefined) return this.props.children;
    return (
      <div class="note error" role="alert">
        <strong>This view has failed.</strong> {String(this.state.error)}
        <p>
          <button type="button" class="button" onClick={() => this.setState({ error: undefined })}>
            Try again
          </button>
        </p>
      </div>
    );
  }
}
