/** Why a call came to nothing, in the api's own words. */

interface Envelope {
  error: { code: string; message: string; details?: { fields?: Record<string, string> } };
}

/** A refusal in the api's envelope, or an api that can't be reached. */
export class Failure extends Error {
  constructor(
    readonly code: string,
    message: string,
    /** What is wrong with each field of a form. */
    readonly fields: Record<string, string> = {},
    /** When another try makes sense. */
    readonly retryAfterSecs?: number,
  ) {
    super(message);
  }

  /** What was thrown, as a failure. */
  static of(thrown: unknown): Failure {
    if (thrown instanceof Failure) return thrown;
    return new Failure("unreachable", "HumanChat can't be reached.");
  }

  static fromAnswer(response: Response, body: unknown): Failure {
    const seconds = Number(response.headers.get("Retry-After")) || undefined;
    if (isEnvelope(body)) {
      const { code, message, details } = body.error;
      return new Failure(code, message, details?.fields, seconds);
    }
    return new Failure("unknown", `HumanChat answered ${response.status}.`, {}, seconds);
  }
}

function isEnvelope(body: unknown): body is Envelope {
  const error = (body as Partial<Envelope> | null)?.error;
  return typeof error?.code === "string" && typeof error.message === "string";
}

/** The answer's body; throws a {@link Failure} where there is none. */
export async function taken<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call.catch((thrown: unknown) => {
    throw Failure.of(thrown);
  });
  if (!response.ok) throw Failure.fromAnswer(response, error);
  return data as T;
}
