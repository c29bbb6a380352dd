"""What the kernels of a scan share: the tables by number, and where everything stands in the array `state`."""

TABLES = ("resources", "scopes", "spans", "events", "links", "attributes")
RESOURCES, SCOPES, SPANS, EVENTS, LINKS, ATTRIBUTES = range(6)
OK = -1

# `state` (int64) holds the rows used of each table, then ...
AT_RESOURCE_SPANS, AT_SCOPE_SPANS, AT_SPAN = 6, 7, 8  # where the scan is, counted from one
INVALID_UTF8 = 9  # whether any text is broken
REJECTED = 10  # refused spans, by reason
TRACE_ID_LENGTH, TRACE_ID_ZERO, SPAN_ID_LENGTH, SPAN_ID_ZERO, PARENT_SPAN_ID_LENGTH = range(5)
NOT_REJECTED = -1
LONGEST_NESTED = 15  # bytes of the longest array or key-value list, at least 1 where there is one
REJECTED_PATH = 16  # laid out like `state` itself: AT_... of the first refused span
MAX_VALUE_DEPTH = 64  # levels of AnyValue; protobuf's own parsers stop at about 47
MAX_MESSAGE_DEPTH = 3 * MAX_VALUE_DEPTH  # AnyValue > KeyValueList > KeyValue
ENDS = REJECTED_PATH + 9  # stack of the messages that a nested value consists of: their ends ...
MESSAGES = ENDS + MAX_MESSAGE_DEPTH  # ... and what they are
STATE_SIZE = MESSAGES + MAX_MESSAGE_DEPTH
