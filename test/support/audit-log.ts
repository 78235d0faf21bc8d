/** Empties the audit log, which refuses it, for the next test: what waits to be sealed goes too, or it would be missed. */
export const EMPTY_AUDIT_LOG = `
  SELECT set_config('countersign.removes_old_audit_events', 'on', true);
  DELETE FROM audit_events;
  DELETE FROM audit_unsealed`;
