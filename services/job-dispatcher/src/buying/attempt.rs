//! Which attempt of which request.

use t4t_types::RequestId;

/// Which attempt of which request.
pub(super) type AttemptId = (RequestId, u32);
