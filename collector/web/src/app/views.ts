// The views, by the beginnings of their paths. Each is loaded when it is first shown.
import type { ComponentType } from "preact";

export interface View {
  /** The path, or its beginning. */
  path: string;
  /** In the navigation; empty for views that others lead to. */
  name: string;
  load: () => Promise<{ default: ComponentType }>;
}

export const VIEWS: readonly View[] = [
  { path: "/search", name: "Search", load: () => import("../views/search/SearchView") },
  { path: "/analyze", name: "Analyze", load: () => import("../views/analyze/AnalyzeView") },
  { path: "/trace", name: "", load: () => import("../views/trace/TraceView") },
  { path: "/compare", name: "", load: () => import("../views/trace/CompareView") },
  { path: "/services", name: "Services", load: () => import("../views/services/ServicesView") },
  { path: "/topology", name: "Topology", load: () => import("../views/topology/TopologyView") },
  { path: "/dashboard", name: "Dashboard", load: () => import("../views/dashboard/DashboardView") },
  { path: "/alerts", name: "Alerts", load: () => import("../views/alerts/AlertsView") },
  { path: "/load-tests", name: "Load tests", load: () => import("../views/load-tests/LoadTestsView") },
  { path: "/requests", name: "Requests", load: () => import("../views/requests/RequestsView") },
  { path: "/failures", name: "Failures", load: () => import("../views/failures/FailuresView") },
  { path: "/tracing", name: "Tracing", load: () => import("../views/tracing/TracingView") },
  { path: "/health", name: "Health", load: () => import("../views/health/HealthView") },
];

/** The view of a path; the first one where there is none of its own. */
export function viewOf(path: string): View {
  return VIEWS.find((view) => path === view.path || path.startsWith(`${view.path}/`)) ?? (VIEWS[0] as View);
}
