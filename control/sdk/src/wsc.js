//! The library's door: every public name, one by one and together in the namespace `wsc`.

import { attachMediaStream, extend, getMediaOptions } from "./adapter.js";
import { AuthHandler } from "./auth.js";
import { CallConfig } from "./call-config.js";
import { CallPackage } from "./call-package.js";
import { CallState } from "./call-state.js";
import { Call } from "./call.js";
import { CapabilityExchange, CapabilityPackage, Query } from "./capability.js";
import { ChatConfig, ChatMessage } from "./chat-config.js";
import { ChatPackage } from "./chat-package.js";
import { Chat } from "./chat.js";
import { Session } from "./client.js";
import {
  ACTION, AUTHTYPE, CALLSTATE, ConnectionStateEnum, MEDIADIRECTION, MEDIASTREAMEVENT, MESSAGETYPE, SESSIONSTATE,
} from "./constants.js";
import { DataReceiver, DataSender, DataTransfer } from "./data-transfer.js";
import { DirectPackage } from "./direct-package.js";
import { ERRORCODE, ErrorInfo } from "./errors.js";
import { LOGLEVEL, getLogger, setLogLevel, setLogger } from "./log.js";
import { FileTransferPackage } from "./file-transfer-package.js";
import { FileTransfer } from "./file-transfer.js";
import { MessageAlertPackage, MessageCounts, MessageSummary, Notification, Subscription } from "./message-alert.js";
import { Message } from "./message.js";
import { Messaging, MessagingMessage, MessagingPackage } from "./messaging.js";
import { WscMap } from "./subsession-map.js";

export {
  ACTION, AUTHTYPE, AuthHandler, CALLSTATE, Call, CallConfig, CallPackage, CallState, CapabilityExchange, CapabilityPackage, Chat,
  ChatConfig, ChatMessage, ChatPackage, ConnectionStateEnum, DataReceiver, DataSender, DataTransfer, DirectPackage, ERRORCODE,
  ErrorInfo, FileTransfer,
  FileTransferPackage, LOGLEVEL, MEDIADIRECTION, MEDIASTREAMEVENT,
  MESSAGETYPE, MESSAGETYPE as MSSAGETYPE, Message, MessageAlertPackage, MessageCounts, MessageSummary, Messaging, MessagingMessage, MessagingPackage,
  Query, SESSIONSTATE, Session, Session as ExtensibleSession, Subscription, WscMap as Map,
  Notification, attachMediaStream, extend, getLogger, getMediaOptions,
  setLogLevel, setLogger,
};

/** The namespace object, as the classic script sets it. */
export const wsc = {
  ACTION,
  AUTHTYPE,
  AuthHandler,
  CALLSTATE,
  Call,
  CallConfig,
  CallPackage,
  CallState,
  CapabilityExchange,
  CapabilityPackage,
  Chat,
  ChatConfig,
  ChatMessage,
  ChatPackage,
  ConnectionStateEnum,
  DataReceiver,
  DataSender,
  DataTransfer,
  DirectPackage,
  ERRORCODE,
  ErrorInfo,
  ExtensibleSession: Session,
  FileTransfer,
  FileTransferPackage,
  LOGLEVEL,
  MEDIADIRECTION,
  MEDIASTREAMEVENT,
  MESSAGETYPE,
  MSSAGETYPE: MESSAGETYPE,
  Map: WscMap,
  Message,
  MessageAlertPackage,
  MessageCounts,
  MessageSummary,
  Messaging,
  MessagingMessage,
  MessagingPackage,
  Notification,
  Query,
  SESSIONSTATE,
  Session,
  Subscription,
  attachMediaStream,
  extend,
  getLogger,
  getMediaOptions,
  setLogLevel,
  setLogger,
};
