/** The core, without any framework: `feedback-gateway-react`. */

export { createChat, type Chat, type ChatOptions, type ChatState } from "./core/chat.js";
export { ChatError } from "./core/errors.js";
export type { FeedbackItem, ServerEvent, StreamEvent, Timing, Turn, Usage } from "./core/events.js";
export {
  createFeedback,
  type Feedback,
  type FeedbackOptions,
  type FeedbackState,
  type Remarks,
  type Scores,
} from "./core/feedback.js";
export type { Connection } from "./core/http.js";
export type { ChatMessage, MessageStatus } from "./core/messages.js";
export { sseParser } from "./core/sse.js";
export { sseTransport, type ChatBody, type StreamRef, type Transport } from "./core/transport.js";
export { webSocketTransport } from "./core/websocket.js";
