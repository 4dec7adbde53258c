/** Whether a process of this number exists (a zombie counts until its parent has looked at it). */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
