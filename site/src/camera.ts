/** The webcam: a stream in a video element, and in words why there is none. */

const REASONS: Record<string, { title: string; remedy: string }> = {
  NotFoundError: {
    title: "There is no webcam",
    remedy: "The browser finds no camera on this device. Choose a picture instead.",
  },
  NotAllowedError: {
    title: "The webcam may not be used",
    remedy: "Allow this page to use it, beside the address at the top of the browser's window.",
  },
  NotReadableError: {
    title: "The webcam is busy",
    remedy: "Another program or tab seems to use it. Close that, and try again.",
  },
};

/** The camera cannot be used; the title says why, the remedy what to do. */
export class CameraError extends Error {
  constructor(
    readonly title: string,
    readonly remedy: string,
    reported: string,
  ) {
    super(reported);
  }
}

/** Plays the webcam in ``video``; ``onEnd`` is called when it ends by itself. */
export async function startCamera(video: HTMLVideoElement, onEnd: () => void): Promise<void> {
  if (navigator.mediaDevices === undefined) {
    throw new CameraError(
      "The webcam may not be used",
      "Browsers offer it to pages from https or localhost only.",
      "navigator.mediaDevices is missing",
    );
  }
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: 640 }, height: { ideal: 480 } },
    });
  } catch (error) {
    const { name, message } = error as DOMException;
    const reason = REASONS[name] ?? {
      title: "The webcam did not start",
      remedy: "Choose a picture instead, or try again.",
    };
    throw new CameraError(reason.title, reason.remedy, `${name}: ${message}`);
  }
  for (const track of stream.getTracks()) track.onended = onEnd;
  video.srcObject = stream;
  await video.play();
}

export function stopCamera(video: HTMLVideoElement): void {
  const stream = video.srcObject as MediaStream | null;
  for (const track of stream?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}
