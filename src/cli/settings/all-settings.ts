import { AUDIT_SETTINGS } from './audit-settings.ts';
import { CLIENT_SETTINGS } from './client-settings.ts';
import { DEV_SETTINGS } from './dev-settings.ts';
import { DRILL_SETTINGS } from './drill-settings.ts';
import { DOCTOR_SETTINGS } from './doctor-settings.ts';
import { RESOURCE_MANAGER_SETTINGS } from './resource-manager-settings.ts';
import { JOB_MASTER_SETTINGS, TASK_EXECUTOR_SETTINGS } from './worker-settings.ts';

/** The name of every setting of every command: one settings file may serve them all. */
export const ALL_SETTING_NAMES: ReadonlySet<string> = new Set(
  [
    RESOURCE_MANAGER_SETTINGS,
    TASK_EXECUTOR_SETTINGS,
    JOB_MASTER_SETTINGS,
    CLIENT_SETTINGS,
    DEV_SETTINGS,
    DOCTOR_SETTINGS,
    AUDIT_SETTINGS,
    DRILL_SETTINGS,
  ].flatMap((settings) => Object.keys(settings)),
);
