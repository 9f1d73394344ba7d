/** The hooks and the unstyled components: `feedback-gateway-react/react`. */

export { FeedbackButtons, type FeedbackButtonsProps } from "./react/FeedbackButtons.js";
export { FeedbackDialog, type Dimension, type FeedbackDialogProps } from "./react/FeedbackDialog.js";
export { RatingScale, type RatingScaleProps } from "./react/RatingScale.js";
export { useFeedback, type Rated, type UseFeedback } from "./react/useFeedback.js";
export { useStreamingChat, type UseStreamingChat } from "./react/useStreamingChat.js";
export type { ChatMessage } from "./core/messages.js";
