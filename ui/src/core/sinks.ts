import type { OpenSink, Sink } from './export.ts';
import { ExportError } from './export.ts';

// Where an export goes: straight into files, through the service worker into the browser's
// downloads, or, where neither is to be had, into memory and then there.

/** More than this isn't kept in memory. */
export const MEMORY_LIMIT = 500_000_000;

export type Way = 'file' | 'worker' | 'memory';

interface Pickers {
  showSaveFilePicker?(options: object): Promise<FileSystemFileHandle>;
  showDirectoryPicker?(options: object): Promise<FileSystemDirectoryHandle>;
}

/** What this browser offers, the best first. */
export function wayToSave(hasWorker: boolean, files: number): Way {
  const pickers = globalThis as Pickers;
  const picker = files > 1 ? pickers.showDirectoryPicker : pickers.showSaveFilePicker;
  if (picker) return 'file';
  return hasWorker ? 'worker' : 'memory';
}

/** Asks for a file, or a folder for several; by a press of a button. Null when declined. */
export async function pickFiles(files: number, name: string): Promise<OpenSink | null> {
  const pickers = globalThis as Pickers;
  try {
    if (files > 1) {
      const folder = await pickers.showDirectoryPicker?.({ mode: 'readwrite' });
      if (!folder) return null;
      return async (own) => fileSink(await folder.getFileHandle(own, { create: true }));
    }
    const handle = await pickers.showSaveFilePicker?.({ suggestedName: name });
    return handle ? () => fileSink(handle) : null;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return null;
    throw error;
  }
}

async function fileSink(handle: FileSystemFileHandle): Promise<Sink> {
  const file = await handle.createWritable();
  return {
    write: (bytes) => file.write(bytes),
    close: () => file.close(),
    abort: () => file.abort(),
  };
}

/** Kept until it is whole, then given to `save`. */
export function memorySink(save: (blob: Blob, name: string) => void): OpenSink {
  return async (name, mime, size) => {
    if (size > MEMORY_LIMIT) throw new ExportError('no-room');
    const parts: Uint8Array<ArrayBuffer>[] = [];
    return {
      write: async (bytes) => void parts.push(bytes),
      close: async () => save(new Blob(parts, { type: mime }), name),
      abort: async () => void parts.splice(0),
    };
  };
}
