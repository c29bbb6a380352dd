// A kind of objects that people edit: where the API has them, how they are called, and what is asked for first.
import type { ComponentChildren, ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError, ask } from "../api/client";
import type { FieldProps } from "./Field";
import { shapeOf, type SchemaMap, type Shape } from "./shape";

/** What all kinds have in common. */
export interface Stored {
  id: string;
  version: number;
  updatedBy: string;
  updatedAtUnixNano: string;
}

export interface Column<T> {
  head: string;
  cell: (object: T) => ComponentChildren;
}

export interface Kind<T extends Stored> {
  /** Below the workspace: `alert-rules`. */
  path: string;
  /** What lists call them: `alertRules`. */
  plural: string;
  /** The schema by which the daemon takes one. */
  schema: string;
  /** As people say: `alert rule`. */
  noun: string;
  /** By which people know one. */
  nameOf: (object: T) => string;
  columns: readonly Column<T>[];
  /** Fields that are asked for at once; the others are one step away. */
  first: readonly string[];
  pickers?: Record<string, ComponentType<FieldProps>>;
  /** What a new one begins with. */
  begin?: () => Record<string, unknown>;
  /** Whether `enabled` may be changed in the list. */
  canToggle?: boolean;
  /** Whether the API takes many at once of which `enabled` is to be changed. */
  canToggleMany?: boolean;
  /** Shown where there are none. */
  empty: ComponentChildren;
}

let document: Promise<{ components: { schemas: SchemaMap } }> | undefined;

/** The shape of a form, as the running daemon describes it. */
export function useShape(schema: string): { shape: Shape | undefined; error: ApiError | undefined } {
  const [state, setState] = useState<{ shape?: Shape; error?: ApiError }>({});
  useEffect(() => {
    let wanted = true;
    document ??= ask<{ components: { schemas: SchemaMap } }>("/openapi.json");
    document.then(
      ({ components: { schemas } }) => wanted && setState({ shape: shapeOf(schemas[schema] ?? {}, schemas) }),
      (error: unknown) => {
        document = undefined;
        if (wanted && error instanceof ApiError) setState({ error });
      },
    );
    return () => {
      wanted = false;
    };
  }, [schema]);
  return { shape: state.shape, error: state.error };
}
