/** Files that are either the old ones or the new ones, whenever the process is killed. */
import * as fs from 'fs'
import * as path from 'path'

const tempName = /^\..+\.(\d+)\.part$/

/** Write `data` to `file`: into a temporary file beside it, flushed to the disk, then renamed. */
export function writeAtomic(file: string, data: string | Uint8Array): void {
  const temp = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.part`)
  const fd = fs.openSync(temp, 'w', fs.existsSync(file) ? fs.statSync(file).mode : 0o644)
  try {
    fs.writeFileSync(fd, data)
    fs.fsyncSync(fd)
  } finally { fs.closeSync(fd) }
  fs.renameSync(temp, file)
}

/** Remove what killed processes left in `folder`: temporary files and folders `.name.pid.part`. */
export function sweep(folder: string): void {
  if (!fs.existsSync(folder)) return
  for (const name of fs.readdirSync(folder)) {
    const pid = Number(tempName.exec(name)?.[1] ?? process.pid)
    if (pid === process.pid || isAlive(pid)) continue
    fs.rmSync(path.join(folder, name), { recursive: true, force: true })
  }
}

/** Whether there is a process `pid`. */
export function isAlive(pid: number): boolean {
  try { return process.kill(pid, 0) } catch (e) {
    return (e as NodeJS.ErrnoException).code === 'EPERM'
  }
}
