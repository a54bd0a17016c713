// Request targets without the credentials in them, by the rule of `edgelb serve`.

/** Characters from which on a segment of a path is taken for a token. */
const SEGMENT = 20;

/** https://www.rfc-editor.org/rfc/rfc9562#section-4; some leave out the hyphens. */
const UUID = /^(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})$/i;

/**
 * A request target, fit for a log. Query values are left out: signatures, keys
 * and tokens travel there. Of the path, segments of 20 characters and more are:
 * people name things shorter, and secrets come longer (a UUID has 36). Long file
 * names keep their ending. The segment behind a UUID is left out however short it
 * is: a UUID names a user, and a password may be next.
 */
export function redacted(target: string): string {
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  let behindUuid = false;
  const segments = path.split('/').map(segment => {
    // Many servers take `//` for `/`.
    if (segment === '') {
      return segment;
    }
    const hidden = behindUuid;
    behindUuid = UUID.test(segment);
    if (hidden) {
      return '*';
    }
    return segment.length < SEGMENT ? segment : `*${/\.[0-9a-z]{1,5}$/i.exec(segment)?.[0] ?? ''}`;
  });
  if (mark < 0) {
    return segments.join('/');
  }
  const pairs = target.slice(mark + 1).split('&').map(pair => {
    const equals = pair.indexOf('=');
    return equals >= 0 && equals < SEGMENT ? `${pair.slice(0, equals)}=*` : '*';
  });
  return `${segments.join('/')}?${pairs.join('&')}`;
}
