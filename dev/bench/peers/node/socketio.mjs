// The Node peer for sockets: one Socket.IO server with its Redis adapter. Everybody who connects is in one
// room, unless the query names another. POST /emit tells the room; POST /store stores the message in Postgres first, in one statement.
// Environment: PORT, REDIS_URL, DATABASE_URL.
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import pg from 'pg';
import { createClient } from 'redis';
import { Server } from 'socket.io';

const room = 'conversation:conv_01jd8t6ze5fkxrv8q3w2m9n7ab';
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 16 });
await pool.query('create table if not exists said (id bigserial primary key, content text not null, at timestamptz not null)');

async function store(content, at) {
  const statement = { name: 'say', text: 'insert into said (content, at) values ($1, $2) returning id', values: [content, at] };
  return Number((await pool.query(statement)).rows[0].id);
}

let told = 0;

// The same fields as the product's frame, so that both send as much.
function emit(seq, content, timestamp) {
  io.to(room).emit('message.created', {
    payload: {
      messageId: seq,
      conversationId: 'conv_01jd8t6ze5fkxrv8q3w2m9n7ab',
      senderId: 'user_01jd8t6ze5fkxrv8q3w2m9n7ab',
      origin: 'human',
      type: 'user_text',
      content,
      attachments: [],
      actions: [],
      timestamp,
    },
    channel: room,
    seq,
    timestamp,
  });
}

const server = createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  const { content } = JSON.parse(body);
  const at = new Date();
  const seq = request.url === '/store' ? await store(content, at) : ++told;
  emit(seq, content, at.getTime());
  const answer = JSON.stringify({ messageId: seq, timestamp: at.getTime() });
  response.writeHead(201, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) });
  response.end(answer);
});

const publisher = createClient({ url: process.env.REDIS_URL });
const subscriber = publisher.duplicate();
await Promise.all([publisher.connect(), subscriber.connect()]);
const io = new Server(server, {
  adapter: createAdapter(publisher, subscriber),
  perMessageDeflate: false,
  serveClient: false,
  transports: ['websocket'],
});
io.on('connection', (socket) => socket.join(socket.handshake.query.room ?? room));
server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening'));
