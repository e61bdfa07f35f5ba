/** What the command lines of the tools share. */

/** Run `main(flags, words)`; a refusal is one sentence on stderr and exit code 1, no stack. */
export async function command(known: string[],
  main: (flags: Set<string>, words: string[]) => void | Promise<void>): Promise<void> {
  const args = process.argv.slice(2)
  const flags = args.filter(o => o.startsWith('-') && o !== '-')
  try {
    const odd = flags.find(o => !known.includes(o))
    if (odd) throw new Error(`unknown option ${odd} (known: ${known.join(' ')})`)
    await main(new Set(flags), args.filter(o => !flags.includes(o)))
  } catch (e) {
    // anything but a plain Error is a fault of the tool, so its stack is wanted
    if ((e as Error)?.constructor !== Error) throw e
    console.error((e as Error).message)
    process.exitCode = 1
  }
}
