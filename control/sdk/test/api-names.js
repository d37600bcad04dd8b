// Every name of the API that pages use: of US patent 9,648,052's tables 1 to 15, and of the product that came of it.
// `members` are methods and properties, `callbacks` are set by the page.

/** Classes of the namespace. `of`: how to get one in a test. */
export const CLASSES = {
  // Tables 1 and 2.
  CapabilityPackage: { members: ["createCapabilityExchange", "packageType", "onMessage"] },
  CapabilityExchange: {
    members: ["enquiry", "respond"], callbacks: ["onQueryRequest", "onQueryResponse", "onError"],
  },
  Query: { members: ["ssid", "initiator", "target", "initiatorCapability", "targetCapability"] },
  // Tables 3 and 4.
  MessagingPackage: { members: ["createMessaging", "packageType", "onMessage"], statics: ["createMessaging"] },
  Messaging: {
    members: ["send", "accept", "reject", "getMessage"],
    callbacks: ["onNewMessage", "onSuccessResponse", "onErrorResponse"],
  },
  MessagingMessage: { members: ["msgId", "initiator", "initiatorName", "target", "content"] },
  // Tables 5 to 8.
  ChatPackage: {
    members: ["createChat", "createGroup", "rejoinGroup", "prepareChat", "close", "getChats", "onMessage",
      "onRehydration", "packageType"],
    callbacks: ["onIncomingChat", "onResurrect"],
  },
  Chat: {
    members: [
      "start", "send", "accept", "end", "decline", "setSecure", "getInitiator", "getInitiatorName", "getTarget",
      "onMessage", "getChatConfig", "getState", "indicateTyping", "subSessionId", "toJSON",
      "addParticipants", "isGroup", "getGroup", "getParticipants", "getFirstMessage",
    ],
    callbacks: [
      "onChatMessage", "onMessageSendSuccess", "onMessageSendFailure", "onStateChange", "onConnectionStateChange",
      "onMessageTyping", "onMessageTypingStop", "onParticipantsChange",
    ],
  },
  ChatConfig: { members: ["acceptTypes", "acceptWrappedTypes", "maxSize", "selfMaxSize", "targetMaxSize"] },
  ChatMessage: { members: ["contentType", "content"] },
  // Tables 9 to 15; FileConfig and the types of tables 12 to 15 are plain objects.
  FileTransferPackage: {
    members: ["createFileTransfer", "createImageShare", "createGroupFileTransfer", "prepareFileTransfer", "close", "getFileTransfers", "onMessage", "packageType"],
    callbacks: ["onFileTransfer"],
  },
  FileTransfer: {
    members: [
      "start", "accept", "decline", "abort", "setSecure", "getInitiator", "getInitiatorName", "getTarget", "onMessage",
      "getFileConfigs", "getState", "setChunkSize", "isImageShare", "getGroup",
    ],
    callbacks: [
      "onFileData", "onProgress", "onStateChange", "onConnectionStateChange", "onFileTransferSuccess",
      "onFileTransferFailure",
    ],
  },
  // Beyond the patent.
  Session: {
    members: [
      "sessionId", "webSocketUri", "ackInterval", "busyPingInterval", "idlePingInterval", "reConnectInterval",
      "reConnectTime", "retryCount", "timeToLive", "close", "getSessionId", "getUserName", "setIdlePingInterval",
      "setBusyPingInterval", "setReconnectInterval", "setReconnectTime", "hibernate", "exportState",
      "registerPackage", "getPackage", "putSubSession", "getSubSession", "removeSubSession",
      "getSubSessionsByPackageType", "getAllSubSessions", "genNewCorrelationId", "generateSubSessionId",
      "getLastOutboundSeq", "sendMessage", "saveToStorage", "setSessionState",
    ],
    callbacks: ["onSessionStateChange", "onHibernateRequest", "onHibernated"],
  },
  AuthHandler: { members: [], callbacks: ["refresh"] },
  Message: {
    members: [
      "control", "header", "payload", "isRequest", "isResponse", "isMessage", "isError", "isACK", "isReconnect", "ack",
      "complete", "addExtHeaders", "getExtHeaders",
    ],
  },
  Map: { members: ["put", "get", "remove", "keys", "values", "size", "entry"] },
  ErrorInfo: { members: ["code", "reason"] },
  CallState: { members: ["state", "status"] },
  CallPackage: {
    members: [
      "createCall", "getCalls", "close", "prepareCall", "putCall", "setTrickleIceMode", "onMessage", "onRehydration",
      "packageType",
    ],
    callbacks: ["onIncomingCall", "onResurrect"],
  },
  CallConfig: {
    members: [
      "audioConfig", "videoConfig", "dataChannelConfig", "hasAudio", "hasVideo", "shouldSendAudio", "shouldSendVideo",
      "shouldReceiveAudio", "shouldReceiveVideo",
    ],
  },
  Call: {
    members: [
      "start", "accept", "decline", "update", "end", "resume", "getCallState", "getCallConfig", "getCaller", "getCallerName",
      "getCallee",
      "getPeerConnection", "getDataTransfer", "setIceCheckInterval", "getIceCheckInterval", "onMessage",
    ],
    callbacks: ["onCallStateChange", "onMediaStreamEvent", "onUpdate", "onDataTransfer"],
  },
  DataTransfer: {
    members: ["label", "getState", "getSender", "getReceiver"], callbacks: ["onOpen", "onClose", "onError"],
  },
  DataSender: { members: ["send"] },
  DataReceiver: { members: [], callbacks: ["onMessage"] },
  MessageAlertPackage: { members: ["createNewSubscription", "getSubscriptions", "onMessage", "packageType"] },
  Subscription: { members: ["end", "isValid", "getNotifier", "getSubscriber", "onMessage", "subSessionId"] },
  Notification: { members: ["getSender", "getReceiver", "getContent"] },
  MessageSummary: {
    members: ["getMessageAccount", "isMessageWaiting", "getMessageCounts", "getSender", "getReceiver", "getContent"],
  },
  MessageCounts: { members: ["getNew", "getOld", "getUrgentNew", "getUrgentOld"] },
};

/** Plain functions. */
export const FUNCTIONS = ["setLogLevel", "setLogger", "getLogger", "extend", "getMediaOptions", "attachMediaStream"];

/** Constant objects: a list where values are the names themselves. */
export const CONSTANTS = {
  LOGLEVEL: { DEBUG: 2, INFO: 4, WARN: 6, ERROR: 8, OFF: 10 },
  SESSIONSTATE: ["NONE", "CONNECTED", "RECONNECTING", "RELOADING", "FAILED", "CLOSED", "HIBERNATED", "SUSPENDED"],
  CALLSTATE: [
    "NONE", "STARTED", "RESPONDED", "ESTABLISHED", "UPDATING", "UPDATE_FAILED", "UPDATED", "FAILED", "ERROR", "ENDED",
  ],
  MEDIADIRECTION: ["SENDONLY", "RECVONLY", "SENDRECV", "NONE"],
  MEDIASTREAMEVENT: [
    "LOCAL_STREAM_ADDED", "LOCAL_STREAM_REMOVED", "LOCAL_STREAM_ERROR", "REMOTE_STREAM_ADDED",
    "REMOTE_STREAM_REMOVED", "REMOTE_STREAM_ERROR",
  ],
  AUTHTYPE: ["SERVICE", "TURN"],
  ConnectionStateEnum: ["NONE", "CONNECTING", "OPEN", "CLOSED", "ERROR"],
  ERRORCODE: {
    UNAUTHORIZED: 401, FORBIDDEN: 403, RESOURCE_UNAVAILABLE: 404, PROXYAUTH_REQUIRED: 407,
    TEMPORARILY_UNAVAILABLE: 480, BUSY_HERE: 486, REQUEST_TERMINATED: 487, SYSTEM_ERROR: 500, BUSY_EVERYWHERE: 600,
    DECLINED: 603, WEBSOCKET_ERROR: 1001, PEERCONNECTION_ERROR: 1101, MEDIA_ERROR: 1201, RESTORE_FAILED: 1301,
    SAVE_FAILED: 1302,
  },
  ACTION: {
    CONNECT: "connect", START: "start", SHUTDOWN: "shutdown", COMPLETE: "complete", NOTIFY: "notify", TRICKLE: "trickle",
    PRACK: "prack", SEND: "send", ENQUIRY: "enquiry", HIBERNATE: "hibernate", ICE_ENQUIRY: "iceEnquiry",
  },
  MSSAGETYPE: {
    REQUEST: "request", RESPONSE: "response", MESSAGE: "message", ERROR: "error", ACK: "acknowledgement",
  },
};
