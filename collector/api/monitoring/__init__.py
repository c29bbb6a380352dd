"""What dashboards show, from the tables of derived rows: requests of a workspace, latencies, and how its topology changes."""

from collector.api.monitoring import dashboard, latencies, topology

ROUTES = (*dashboard.ROUTES, *latencies.ROUTES, *topology.ROUTES)
