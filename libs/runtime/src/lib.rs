//! Process life: configuration, telemetry, health, readiness and graceful stop.
