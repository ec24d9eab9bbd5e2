import type { Camera } from '../core/room.ts';
import { fileTime } from '../core/time.ts';

/** The picture as it came, as a file with camera and time in its name. */
export async function snapshot(
  video: HTMLVideoElement,
  camera: Camera,
  moment: number,
): Promise<void> {
  if (!video.videoWidth) return;
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext('2d')?.drawImage(video, 0, 0);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
  if (blob) save(blob, `${fileName(camera.name)}_${fileTime(moment, camera.zone)}.png`);
}

/** A name that every file system takes. */
export const fileName = (name: string): string =>
  name.replaceAll(/[^\p{L}\p{N}]+/gu, '-').replaceAll(/^-|-$/g, '') || 'camera';

/** Gives a file to the browser's downloads. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export function toggleFullScreen(frame: HTMLElement | null): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  else if (frame && 'requestFullscreen' in frame) {
    // Browsers refuse it when they think that nobody asked.
    frame.requestFullscreen().catch(() => undefined);
  }
}
